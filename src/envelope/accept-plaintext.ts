/** Moving a store from `keys: "unsealed"` to keys: what lies there in clear is read for a while, and sealed when written. */
import type { Runtime } from "../runtime.ts";
import type { SealContext } from "./context.ts";
import { parsePlain } from "./format.ts";
import type { OpenResult, Sealer } from "./sealer.ts";

/**
 * The sealer, which until `untilMs` (by the wall clock, ms since the epoch) also opens what an unsealed cache wrote.
 * Plaintext proves nothing: neither who wrote it, nor for which place. So whoever can write to the store can plant
 * records until then; for what comes from a browser this sealer must not be used.
 */
export function acceptingPlaintext(sealer: Sealer, untilMs: number, runtime: Runtime): Sealer {
  function orPlain(opened: OpenResult, bytes: Uint8Array): OpenResult {
    if (opened.ok || opened.reason !== "refused" || runtime.now() >= untilMs) return opened;
    const plain = parsePlain(bytes);
    return plain.ok ? { ok: true, plaintext: plain.plaintext, keyId: undefined } : plain;
  }

  return Object.freeze({
    sealed: sealer.sealed,
    get keyId() {
      return sealer.keyId;
    },
    seal: (plaintext: Uint8Array, context: SealContext) => sealer.seal(plaintext, context),
    open: (bytes: Uint8Array, context: SealContext) => orPlain(sealer.open(bytes, context), bytes),
    openOrAsk(bytes: Uint8Array, context: SealContext) {
      const opened = sealer.openOrAsk(bytes, context);
      // Only a key that is not here is asked for, and then it is not plaintext.
      return opened instanceof Promise ? opened : orPlain(opened, bytes);
    },
  });
}
