import { createSecretKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { OptionsError } from "../../src/errors.ts";
import { createKeyRing } from "../../src/envelope/key-ring.ts";
import type { KeyRing } from "../../src/envelope/key-ring.ts";
import { checkedRing } from "../../src/envelope/reloading-keys.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import type { OpenResult, SealContext } from "../../src/envelope/sealer.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { referenceSeal } from "./reference.ts";
import { CONTEXT, KEY_ONE, KEY_TWO, RING } from "./support.ts";

const SEALER = createSealer(RING, systemRuntime);
const UNSEALED = createSealer("unsealed", systemRuntime);
const TEXT = Buffer.from("a refresh token");
const REFUSED: OpenResult = { ok: false, reason: "refused" };

function ringWith(id: string, key: Uint8Array): KeyRing {
  return createKeyRing({ sealing: { id, key } });
}

describe("what was sealed", () => {
  test("opens to the same bytes in the same context, and names its key", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), anyContext(), (text, context) => {
        const opened = SEALER.open(SEALER.seal(text, context), { ...context });
        expect(opened).toEqual({ ok: true, plaintext: Buffer.from(text), keyId: "one" });
      }),
    );
  });

  test("opens when it is a view into a larger buffer", () => {
    const sealed = SEALER.seal(TEXT, CONTEXT);
    const larger = new Uint8Array(sealed.length + 40).fill(0xee);
    larger.set(sealed, 17);
    expect(SEALER.open(larger.subarray(17, 17 + sealed.length), CONTEXT)).toMatchObject({ plaintext: TEXT });
  });

  test("is never the same twice", () => {
    const seen = new Set(
      Array.from({ length: 200 }, () => Buffer.from(SEALER.seal(TEXT, CONTEXT)).toString("hex")),
    );
    expect(seen.size).toBe(200);
  });

  test("has a salt of its own, so a key and nonce of its own", () => {
    const salts = Array.from({ length: 200 }, () =>
      Buffer.from(SEALER.seal(TEXT, CONTEXT)).toString("hex", 10, 42),
    );
    expect(new Set(salts).size).toBe(200);
  });

  test("shows nothing of the text and is longer by 87 bytes and the key id", () => {
    const sealed = Buffer.from(SEALER.seal(TEXT, CONTEXT));
    expect(sealed.includes("refresh")).toBe(false);
    expect(sealed.length).toBe(TEXT.length + 87 + "one".length);
  });

  test("leaves the caller's text as it was", () => {
    const text = Buffer.from(TEXT);
    SEALER.seal(text, CONTEXT);
    expect(text).toEqual(TEXT);
  });
});

describe("what was changed", () => {
  test("does not open with any single bit flipped", () => {
    const sealed = SEALER.seal(TEXT, CONTEXT);
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(SEALER.open(changed, CONTEXT).ok, `bit ${bit}`).toBe(false);
    }
  });

  test("does not open with any byte set to any other value", () => {
    const sealed = SEALER.seal(TEXT, CONTEXT);
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), (position, difference) => {
        const changed = Buffer.from(sealed);
        changed[position]! ^= difference;
        expect(SEALER.open(changed, CONTEXT).ok).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  test("is refused when cut, at every length, from either end", () => {
    for (const text of [TEXT, Buffer.alloc(0)]) {
      const sealed = SEALER.seal(text, CONTEXT);
      for (let length = 0; length < sealed.length; length += 1) {
        expect(SEALER.open(sealed.subarray(0, length), CONTEXT), `first ${length}`).toEqual(REFUSED);
        expect(SEALER.open(sealed.subarray(sealed.length - length), CONTEXT), `last ${length}`).toEqual(
          REFUSED,
        );
      }
    }
  });

  test("is refused with anything appended or inserted", () => {
    const sealed = Buffer.from(SEALER.seal(TEXT, CONTEXT));
    fc.assert(
      fc.property(
        fc.nat(sealed.length),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        (position, extra) => {
          const changed = Buffer.concat([sealed.subarray(0, position), extra, sealed.subarray(position)]);
          expect(SEALER.open(changed, CONTEXT).ok).toBe(false);
        },
      ),
    );
  });
});

describe("what was sealed for one place", () => {
  test.each([
    ["another namespace", { ...CONTEXT, namespace: "apq" }],
    ["another partition", { ...CONTEXT, key: "user:9f2d" }],
    ["another kind", { ...CONTEXT, kind: "activity" }],
    ["namespace and key exchanged", { ...CONTEXT, namespace: CONTEXT.key, key: CONTEXT.namespace }],
    ["the border between namespace and key moved", { ...CONTEXT, namespace: "appu", key: "ser:9f2c" }],
    ["the border between key and kind moved", { ...CONTEXT, key: "user:9f2cr", kind: "ecord" }],
    ["another case of letters", { ...CONTEXT, key: "USER:9F2C" }],
  ] satisfies [string, SealContext][])("is refused in %s", (_, context) => {
    expect(SEALER.open(SEALER.seal(TEXT, CONTEXT), context)).toEqual(REFUSED);
  });

  test("is refused in every other place", () => {
    fc.assert(
      fc.property(anyContext(), anyContext(), (one, other) => {
        fc.pre(one.namespace !== other.namespace || one.key !== other.key || one.kind !== other.kind);
        expect(SEALER.open(SEALER.seal(TEXT, one), other)).toEqual(REFUSED);
      }),
    );
  });

  test("is refused for a key that differs in a lone surrogate only", () => {
    const sealed = SEALER.seal(TEXT, { ...CONTEXT, key: "user:\ud800" });
    expect(SEALER.open(sealed, { ...CONTEXT, key: "user:\udbff" })).toEqual(REFUSED);
    expect(SEALER.open(sealed, { ...CONTEXT, key: "user:\ufffd" })).toEqual(REFUSED);
  });
});

describe("keys", () => {
  test("an opening key opens what it sealed elsewhere; new values go under the sealing key", () => {
    const before = createSealer(ringWith("two", KEY_TWO), systemRuntime).seal(TEXT, CONTEXT);
    expect(SEALER.open(before, CONTEXT)).toEqual({ ok: true, plaintext: TEXT, keyId: "two" });
    expect(SEALER.keyId).toBe("one");
    expect(SEALER.sealed).toBe(true);
    expect(SEALER.open(SEALER.seal(TEXT, CONTEXT), CONTEXT)).toMatchObject({ keyId: "one" });
  });

  test("a key id that is not in the ring is unknown-key, never a miss", () => {
    const sealed = createSealer(ringWith("tomorrow", KEY_ONE), systemRuntime).seal(TEXT, CONTEXT);
    expect(SEALER.open(sealed, CONTEXT)).toEqual({ ok: false, reason: "unknown-key" });
  });

  test("a key id is looked up, no other key is tried", () => {
    const sealed = createSealer(ringWith("one", KEY_TWO), systemRuntime).seal(TEXT, CONTEXT);
    expect(SEALER.open(sealed, CONTEXT)).toEqual(REFUSED);
    const renamed = createSealer(ringWith("uno", KEY_ONE), systemRuntime).seal(TEXT, CONTEXT);
    Buffer.from(renamed.buffer, renamed.byteOffset).write("one", 7);
    expect(SEALER.open(renamed, CONTEXT)).toEqual(REFUSED);
  });

  test("another key under the same id, a wrong tag and a wrong context give one and the same answer", () => {
    const other = createSealer(ringWith("one", KEY_TWO), systemRuntime).seal(TEXT, CONTEXT);
    const changed = Buffer.from(SEALER.seal(TEXT, CONTEXT));
    changed[changed.length - 1]! ^= 1;
    const moved = SEALER.seal(TEXT, { ...CONTEXT, key: "user:0000" });
    const answers = [other, changed, moved].map((bytes) => SEALER.open(bytes, CONTEXT));
    expect(answers).toEqual([REFUSED, REFUSED, REFUSED]);
  });

  test("a commitment that is not this key's is refused even where the tag agrees with it", async () => {
    const record = {
      keyId: "one",
      key: KEY_ONE,
      salt: Buffer.alloc(32, 5),
      namespace: CONTEXT.namespace,
      partitionKey: CONTEXT.key,
      kind: CONTEXT.kind,
      plaintext: TEXT,
    };
    expect(SEALER.open(await referenceSeal(record), CONTEXT)).toMatchObject({ ok: true });
    const forged = await referenceSeal({ ...record, commitment: Buffer.alloc(32, 6) });
    expect(SEALER.open(forged, CONTEXT)).toEqual(REFUSED);
  });
});

describe("sealed and unsealed", () => {
  test("an unsealed sealer says so, keeps text in clear behind its mark and reads it back", () => {
    expect([UNSEALED.sealed, UNSEALED.keyId]).toEqual([false, undefined]);
    const bytes = UNSEALED.seal(TEXT, CONTEXT);
    expect(Buffer.from(bytes).toString("latin1")).toBe(`TKP\x01${TEXT.toString("latin1")}`);
    expect(UNSEALED.open(bytes, CONTEXT)).toEqual({ ok: true, plaintext: TEXT, keyId: undefined });
  });

  test("a sealed sealer takes nothing in clear, marked or not", () => {
    const inClear = [
      UNSEALED.seal(TEXT, CONTEXT),
      Buffer.from('{"Account":{}}'),
      TEXT,
      Buffer.from("TKP\x02"),
    ];
    for (const bytes of [...inClear, Buffer.alloc(0)]) expect(SEALER.open(bytes, CONTEXT)).toEqual(REFUSED);
  });

  test("an unsealed sealer lacks the key for sealed bytes, and does not take them for text", () => {
    expect(UNSEALED.open(SEALER.seal(TEXT, CONTEXT), CONTEXT)).toEqual({ ok: false, reason: "unknown-key" });
    expect(UNSEALED.open(Buffer.from("TKE\x02"), CONTEXT)).toEqual({ ok: false, reason: "unsupported" });
    expect(UNSEALED.open(Buffer.from("TKP\x02"), CONTEXT)).toEqual({ ok: false, reason: "unsupported" });
    for (const text of ["", "TK", "{}", "TKE"])
      expect(UNSEALED.open(Buffer.from(text), CONTEXT)).toEqual(REFUSED);
  });

  test("there is no sealer without keys unless told so by name", () => {
    for (const keys of [undefined, null, "", "none", {}, { sealingKeyId: "one" }, KEY_ONE]) {
      expect(() => createSealer(keys as unknown as KeyRing, systemRuntime)).toThrow(OptionsError);
    }
    const hollow: KeyRing = { sealingKeyId: "one", keyIds: ["one"], find: () => undefined };
    expect(() => createSealer(hollow, systemRuntime)).toThrow(OptionsError);
  });
});

test.each([
  ["an empty one, which everybody has", createSecretKey(Buffer.alloc(0))],
  ["one of 16 bytes", createSecretKey(Buffer.alloc(16, 1))],
  ["bytes", Buffer.alloc(32, 1) as unknown as KeyObject],
  ["a text", "a".repeat(32) as unknown as KeyObject],
  ["a public one", generateKeyPairSync("ed25519").publicKey],
])("a ring of somebody's own has keys of 32 bytes, and not %s", (_what, wrong) => {
  const good = createSecretKey(Buffer.alloc(32, 1));
  const ring = (sealing: KeyObject, opening: KeyObject): KeyRing => ({
    sealingKeyId: "s",
    keyIds: ["s", "o"],
    find: (keyId) => ({ s: sealing, o: opening })[keyId],
  });
  expect(createSealer(ring(good, good), systemRuntime).keyId).toBe("s");
  for (const keys of [ring(wrong, good), ring(good, wrong)]) {
    expect(() => createSealer(keys, systemRuntime)).toThrow(OptionsError);
    expect(() => checkedRing(keys, "load")).toThrow(/`load`/);
  }
});

describe("open", () => {
  test("answers for any bytes whatever, and opens none of them", () => {
    const start = fc.constantFrom(
      "",
      "TKE",
      "TKE\x01\x01\x00",
      "TKE\x01\x01\x00\x03one",
      "TKE\x01\x01\x00\x03xyz",
    );
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (prefix, rest) => {
        const bytes = Buffer.concat([Buffer.from(prefix), rest]);
        expect(SEALER.open(bytes, CONTEXT).ok).toBe(false);
        UNSEALED.open(bytes, CONTEXT);
      }),
      { numRuns: 1_000 },
    );
  });
});

function anyContext(): fc.Arbitrary<SealContext> {
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), fc.constantFrom("", "a", "ab", "b"));
  return fc.record({ namespace: text, key: text, kind: text });
}
