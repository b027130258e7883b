/** A process with the vendor's plugin, a client per request, and a store that it shares with other processes. */
import { ConfidentialClientApplication, DistributedCachePlugin, type ICacheClient } from "@azure/msal-node";
import { byKey } from "../vendor.ts";
import type { ToChild } from "./protocol.ts";
import { serveTasks, settings, tell } from "./serve.ts";

const { auth, account } = settings();
const waiting = new Map<number, (value: string) => void>();
let last = 0;

process.on("message", (message: ToChild) => {
  if (message.type !== "answer") return;
  waiting.get(message.id)?.(message.value);
  waiting.delete(message.id);
});

function ask(key: string, value?: string): Promise<string> {
  return new Promise((resolve) => {
    const id = (last += 1);
    waiting.set(id, resolve);
    tell({ type: "store", id, key, ...(value !== undefined && { value }) });
  });
}

const store: ICacheClient = { get: (key) => ask(key), set: (key, value) => ask(key, value) };

serveTasks((scopes) => {
  const cachePlugin = new DistributedCachePlugin(store, byKey(account.homeAccountId));
  const client = new ConfidentialClientApplication({ auth, cache: { cachePlugin } });
  return client.acquireTokenSilent({ account, scopes });
});
