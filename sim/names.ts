/** Seeds in which the store has names in place of keys. Whoever looks on has the name key, and sees keys. */
import { createSealer } from "../src/envelope/sealer.ts";
import type { KeyRing } from "../src/envelope/key-ring.ts";
import { nameActivity } from "../src/names/activity-store.ts";
import { labelOf, withLabel, withoutLabel } from "../src/names/labels.ts";
import { hiddenNaming, nameKeyObject } from "../src/names/naming.ts";
import { namingsOf } from "../src/names/namings.ts";
import type { TokenCacheOptions } from "../src/options.ts";
import { systemRuntime } from "../src/runtime.ts";
import type { AccountActivityStore } from "../src/store/account-activity-store.ts";

export interface Names {
  /** What every process is given. */
  readonly options: Pick<TokenCacheOptions, "names">;
  nameOf(key: string): string;
  /** A name that nothing has been written under stands for itself. */
  keyOf(name: string): string;
  /** Whose name it is, by the label of what is written under it. @returns false if that does not say */
  learn(name: string, bytes: Uint8Array): boolean;
  /** Whether whoever lists the store finds this. */
  isListed(key: string, bytes: Uint8Array): boolean;
  /** Rows as a process sees them. */
  rows(store: AccountActivityStore): AccountActivityStore;
}

const NAMESPACE = "tokenkeep";
const NAME_KEY = new Uint8Array(32).fill(7);

export function createNames(isOn: boolean, keys: KeyRing): Names {
  if (!isOn) {
    return {
      options: {},
      nameOf: (key) => key,
      keyOf: (name) => name,
      learn: () => true,
      isListed: () => true,
      rows: (store) => store,
    };
  }
  const known = new Map<string, string>();
  const key = nameKeyObject(NAME_KEY, "key");
  const { name: nameOf } = hiddenNaming(NAMESPACE, key);
  // It only opens: nothing of it depends on clocks or chance.
  const sealer = createSealer(keys, systemRuntime);

  function labelled(name: string, bytes: Uint8Array): string | undefined {
    const label = labelOf(bytes);
    const opened = label && sealer.open(label, { namespace: NAMESPACE, key: name, kind: "name" });
    return opened?.ok ? opened.plaintext.toString("utf8") : undefined;
  }

  return {
    options: { names: { key: NAME_KEY } },
    nameOf,
    keyOf: (name) => known.get(name) ?? name,
    learn(name, bytes) {
      const found = labelled(name, bytes);
      if (found === undefined || nameOf(found) !== name) return false;
      known.set(name, found);
      return true;
    },
    isListed: (at, bytes) => labelled(nameOf(at), bytes) === at,
    rows: (store) =>
      nameActivity(store, namingsOf(NAMESPACE, { key }), {
        sealer,
        namespace: NAMESPACE,
        emit: () => undefined,
      }),
  };
}

/** The same change to the record within, whatever is laid around it. */
export function changedWithin(bytes: Uint8Array, change: (record: Buffer) => Uint8Array): Uint8Array {
  const changed = change(Buffer.from(withoutLabel(bytes)));
  const label = labelOf(bytes);
  return label ? withLabel(label, changed) : changed;
}
