/** Which names a process uses, and which it knows besides. */
import type { KeyObject } from "node:crypto";
import { clearNaming, hiddenNaming, type Naming } from "./naming.ts";

/** `"clear"`: no name key. */
export type NameKeyObject = KeyObject | "clear";

/** A change of the name key has two phases: first every process learns of the next one, then they move. */
export interface NameKeys {
  readonly key: NameKeyObject;
  readonly next?: NameKeyObject | undefined;
  readonly previous?: NameKeyObject | undefined;
}

export interface Namings {
  readonly current: Naming;
  /** The one that records come from, or go to. */
  readonly other: Naming | undefined;
  /** True: they come from `other` to `current`, and this process moves what it writes. */
  readonly moves: boolean;
}

export function namingsOf(namespace: string, { key, next, previous }: NameKeys): Namings {
  const naming = (from: NameKeyObject): Naming =>
    from === "clear" ? clearNaming(namespace) : hiddenNaming(namespace, from);
  const other = previous ?? next;
  return {
    current: naming(key),
    other: other === undefined ? undefined : naming(other),
    moves: previous !== undefined,
  };
}
