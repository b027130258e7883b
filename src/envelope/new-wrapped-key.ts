/** A new data key, wrapped, for the operator who adds one to the ring. */
import { checkOptionNames, checkedRuntime } from "../checks.ts";
import { OptionsError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { isKeyId } from "./format.ts";
import { KEY_BYTES, KEY_ID_RULE } from "./key-ring.ts";
import { formatWrappedKey } from "./key-wrapper.ts";
import type { KeyWrapper } from "./key-wrapper.ts";
import { checkedBudget, checkWrapper, refusal, unwrapKey, wrapKey } from "./wrapper-calls.ts";
import type { WrapperCalls } from "./wrapper-calls.ts";

const KNOWN_OPTIONS = new Set(["id", "budgetMs", "runtime"]);

/** The options of {@link newWrappedKey}. */
export interface NewWrappedKeyOptions {
  /** 1 to 32 characters of `[A-Za-z0-9._-]`. Default `k-` and 8 random hexadecimal digits. */
  readonly id?: string;
  /** How long a call to the provider may take. Default 5 seconds. */
  readonly budgetMs?: number;
  /** For tests. Default: the system's. */
  readonly runtime?: Runtime;
}

/**
 * A new random data key, wrapped: an entry for `keys` of `keysFromWrapped`. It is unwrapped once before it is
 * handed over, so that no key gets into use that cannot be had again; nothing else is kept of it.
 *
 * Throws a `TokenkeepError`, `ERR_KEYS_UNAVAILABLE` (retryable) or `ERR_KEYS_REFUSED`, and an
 * {@link OptionsError} for a wrong option.
 */
export async function newWrappedKey(
  wrapper: KeyWrapper,
  options: NewWrappedKeyOptions = {},
): Promise<string> {
  checkWrapper(wrapper, "wrapper");
  checkOptionNames(options, KNOWN_OPTIONS, "newWrappedKey");
  const runtime = checkedRuntime(options.runtime);
  const id = options.id ?? `k-${Buffer.from(runtime.randomBytes(4)).toString("hex")}`;
  if (!isKeyId(id)) throw new OptionsError("id", KEY_ID_RULE);
  const calls = { wrapper, budgetMs: checkedBudget(options.budgetMs), runtime };
  const dataKey = runtime.randomBytes(KEY_BYTES);
  try {
    return await wrappedEntry(calls, id, dataKey);
  } finally {
    dataKey.fill(0);
  }
}

/** The entry of a data key, wrapped, and unwrapped again to see that it can be. */
export async function wrappedEntry(calls: WrapperCalls, id: string, dataKey: Uint8Array): Promise<string> {
  const entry = { id, ...(await wrapKey(calls, dataKey)) };
  const unwrapped = (await unwrapKey(calls, entry)).export();
  const isSame = unwrapped.equals(dataKey);
  unwrapped.fill(0);
  if (isSame) return formatWrappedKey(entry);
  throw refusal(calls.wrapper, `unwrapping key ${id}`, "gave another key than it had wrapped");
}
