/** Wrapping by a key ring of one's own, from the environment or a file: for those who have no key service. */
import { checkedRuntime } from "../checks.ts";
import { OptionsError, TokenkeepError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import type { KeyRing } from "./key-ring.ts";
import type { KeyWrapper } from "./key-wrapper.ts";
import { createSealer } from "./sealer.ts";
import type { SealContext } from "./sealer.ts";

const NAME = "key-ring";
/** No record's context: a record never opens as a wrapped key, nor the other way round. */
const CONTEXT: SealContext = Object.freeze({ namespace: "", key: "", kind: "data-key" });

/**
 * A wrapper that needs nobody: it seals data keys under the sealing key of `ring`, whose id is their version.
 * With it the keys that records are sealed under can stand in a shared configuration, and each machine has only
 * the wrapping key to keep.
 *
 * `runtime` is for tests; default: the system's. Throws {@link OptionsError} where `ring` is none.
 */
export function keyRingWrapper(ring: KeyRing, runtime?: Runtime): KeyWrapper {
  const sealer = createSealer(ring, checkedRuntime(runtime));
  if (!sealer.sealed) throw new OptionsError("keys", "must be a key ring: there is nothing to wrap with");
  return Object.freeze({
    name: NAME,
    wrap: async (dataKey: Uint8Array) => ({
      wrapped: sealer.seal(dataKey, CONTEXT),
      keyVersion: ring.sealingKeyId,
    }),
    async unwrap(wrapped: Uint8Array): Promise<Uint8Array> {
      const opened = sealer.open(wrapped, CONTEXT);
      if (opened.ok) return opened.plaintext;
      const problem =
        opened.reason === "unknown-key"
          ? "the key it is wrapped under is not in the ring"
          : "it is not what was wrapped by this ring";
      throw new TokenkeepError("ERR_KEYS_REFUSED", `key provider ${NAME}: ${problem}`);
    },
  });
}
