// Preloaded into the programs of the quick start, which know nothing of it: their identity provider is local,
// and their clock may be ahead.
const { LOCAL_AUTHORITY, CLOCK_AHEAD_MS = "0" } = process.env;

const fetchFromAnywhere = globalThis.fetch;
globalThis.fetch = (url, init) =>
  fetchFromAnywhere(url.replace("https://login.microsoftonline.com", LOCAL_AUTHORITY), init);

const now = Date.now;
Date.now = () => now() + Number(CLOCK_AHEAD_MS);
