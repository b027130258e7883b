// Preloaded into the programs of the quick start, which know nothing of it: their identity provider is local.
import { subscribe } from "node:diagnostics_channel";

const { LOCAL_AUTHORITY } = process.env;
const fetchFromAnywhere = globalThis.fetch;

globalThis.fetch = (url, init) =>
  fetchFromAnywhere(url.replace("https://login.microsoftonline.com", LOCAL_AUTHORITY), init);

subscribe("tracing:net.server.listen:asyncEnd", () => process.send?.("listening"));
