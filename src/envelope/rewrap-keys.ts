/** Wrapped keys under another wrapping key, for the operator who retires the one they are under. */
import { checkOptionNames, checkedRuntime } from "../checks.ts";
import type { Runtime } from "../runtime.ts";
import { parseWrappedKeys } from "./key-wrapper.ts";
import type { KeyWrapper } from "./key-wrapper.ts";
import { wrappedEntry } from "./new-wrapped-key.ts";
import { checkedBudget, checkWrapper, unwrapKey } from "./wrapper-calls.ts";

const KNOWN_OPTIONS = new Set(["from", "to", "budgetMs", "runtime"]);

/** The options of {@link rewrapKeys}. */
export interface RewrapKeysOptions {
  /** Who unwraps what is there. */
  readonly from: KeyWrapper;
  /** Who wraps it again. Default: `from`, which wraps under its newest version. */
  readonly to?: KeyWrapper;
  /** How long a call to either may take. Default 5 seconds. */
  readonly budgetMs?: number;
  /** For tests. Default: the system's. */
  readonly runtime?: Runtime;
}

/**
 * The same keys under the same ids, in the same order, wrapped anew: one entry a line, without comments. Each is
 * unwrapped once more before it is handed over. What is sealed under them opens as before.
 *
 * Throws as `newWrappedKey` does, and then nothing has been changed anywhere.
 */
export async function rewrapKeys(text: string, options: RewrapKeysOptions): Promise<string> {
  checkOptionNames(options, KNOWN_OPTIONS, "rewrapKeys");
  const { from, to = from } = options;
  checkWrapper(from, "from");
  checkWrapper(to, "to");
  const settings = { budgetMs: checkedBudget(options.budgetMs), runtime: checkedRuntime(options.runtime) };
  const entries: string[] = [];
  for (const entry of parseWrappedKeys(text, "text")) {
    const dataKey = (await unwrapKey({ wrapper: from, ...settings }, entry)).export();
    try {
      entries.push(await wrappedEntry({ wrapper: to, ...settings }, entry.id, dataKey));
    } finally {
      dataKey.fill(0);
    }
  }
  return entries.join("\n");
}
