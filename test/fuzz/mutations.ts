/** JSON that somebody has changed: what a bug, another program or an attacker makes of a value. */
import fc from "fast-check";

type Holder = Record<string, unknown>;

/** Where in a value, what happens there, and with what. Applied by {@link mutatedJson}. */
export interface Mutation {
  /** Chooses among all places of the value, in document order. */
  readonly place: number;
  readonly how: "replace" | "delete" | "rename" | "copy" | "wrap" | "retype" | "respell";
  /** A new value or, as text, a new key. */
  readonly value: unknown;
  readonly key: string;
}

/** Names that mean something to a program that does not expect them. */
const HOSTILE_KEYS = [
  "__proto__",
  "constructor",
  "prototype",
  "hasOwnProperty",
  "toString",
  "valueOf",
  "then",
  "length",
  "",
];

/** Leaves a trace on every object if it ever reaches a prototype. */
const POLLUTION = Object.freeze(JSON.parse('{"__proto__":{"polluted":true},"polluted":true}') as object);

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1e308,
    "",
    " ",
    "-",
    "%",
    "\u0000",
    "\ud800",
    [],
    [[]],
    {},
    "x".repeat(5_000),
    POLLUTION,
    { constructor: { prototype: POLLUTION } },
    { toString: 1, valueOf: 1 },
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

const WAYS: readonly Mutation["how"][] = ["replace", "delete", "rename", "copy", "wrap", "retype", "respell"];

/** One or a few changes. */
export function arbitraryMutations(maxLength = 4): fc.Arbitrary<readonly Mutation[]> {
  return fc.array(
    fc.record({
      place: fc.nat(10_000),
      how: fc.constantFrom(...WAYS),
      value: hostileValue,
      key: fc.oneof(fc.constantFrom(...HOSTILE_KEYS), fc.string({ maxLength: 12 })),
    }),
    { minLength: 1, maxLength },
  );
}

/** The text of a changed copy; `json` is the text of an object. */
export function mutatedJson(json: string, mutations: readonly Mutation[]): string {
  const root = { value: JSON.parse(json) as unknown };
  for (const mutation of mutations) {
    const places = placesOf(root);
    const chosen = places[mutation.place % places.length];
    if (chosen) apply(chosen, mutation);
  }
  return JSON.stringify(root.value) ?? "null";
}

interface Place {
  readonly holder: Holder;
  readonly name: string;
}

function placesOf(root: object): Place[] {
  const places: Place[] = [];
  const pending: object[] = [root];
  for (let holder = pending.shift(); holder !== undefined; holder = pending.shift()) {
    for (const [name, value] of Object.entries(holder)) {
      places.push({ holder: holder as Holder, name });
      if (typeof value === "object" && value !== null) pending.push(value);
    }
  }
  return places;
}

function apply({ holder, name }: Place, { how, value, key }: Mutation): void {
  const present = holder[name];
  if (Array.isArray(holder) && (how === "rename" || how === "copy")) {
    holder.push(present);
    return;
  }
  switch (how) {
    case "replace":
      return define(holder, name, structuredClone(value));
    case "delete":
      delete holder[name];
      return;
    case "rename":
      delete holder[name];
      return define(holder, key, present);
    case "copy":
      return define(holder, key, structuredClone(present));
    case "wrap":
      return define(holder, name, [present]);
    case "retype":
      return define(
        holder,
        name,
        typeof present === "string" ? Number(present) || 0 : JSON.stringify(present),
      );
    case "respell":
      return define(holder, name, typeof present === "string" ? present.toUpperCase() : present);
  }
}

/** As JSON.parse does: "__proto__" is a key like any other. */
function define(holder: Holder, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { value, configurable: true, enumerable: true, writable: true });
}
