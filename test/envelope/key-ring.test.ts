import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { OptionsError } from "../../src/errors.ts";
import { createKeyRing, generateKey, parseKeys } from "../../src/envelope/key-ring.ts";
import type { KeyEntry, KeyRingOptions } from "../../src/envelope/key-ring.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { CONTEXT, KEY_ONE, KEY_TWO, RING } from "./support.ts";

const SLASHES = Buffer.alloc(32, 0xff); // "////…" in base64, "____…" in base64url

function errorOf(action: () => unknown): OptionsError {
  try {
    action();
  } catch (error) {
    if (error instanceof OptionsError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function formsOf(key: Buffer): readonly (Uint8Array | string)[] {
  const [base64, base64url] = [key.toString("base64"), key.toString("base64url")];
  return [key, new Uint8Array(key), base64, base64.replace("=", ""), base64url, `${base64url}=`];
}

/** Everything that a log could make of a value. */
function printed(value: unknown): string {
  const json = JSON.stringify(value) ?? "";
  const own = value instanceof Error ? `${value.message}\n${value.stack}` : "";
  return [json, inspect(value, { depth: 9, showHidden: true, getters: true }), String(value), own].join("\n");
}

/** What the engine remembers of the text that matched last. */
function lastMatched(): string {
  const { input, leftContext, rightContext, lastMatch } = RegExp as unknown as Record<string, string>;
  return [input, leftContext, rightContext, lastMatch].join();
}

test("a text of keys is nowhere when the ring is made, nor when it was refused", () => {
  const text = `one:${KEY_ONE.toString("base64")}`;
  for (const make of [
    () => parseKeys(text),
    () => createKeyRing({ sealing: { id: "one", key: KEY_ONE.toString("base64") } }),
    () => errorOf(() => parseKeys(`${text} ${text}x`)),
    () => errorOf(() => parseKeys(`${text},two`)),
    () => errorOf(() => createKeyRing({ sealing: { id: "o:o", key: KEY_ONE.toString("base64") } })),
  ]) {
    expect(/k(.)y/.test("a key")).toBe(true);
    make();
    expect(lastMatched()).not.toContain(KEY_ONE.toString("base64").slice(0, 20));
  }
});

describe("a key ring", () => {
  test("finds keys by id alone, the sealing key first", () => {
    expect(RING.sealingKeyId).toBe("one");
    expect(RING.keyIds).toEqual(["one", "two"]);
    expect(RING.find("two")?.export()).toEqual(KEY_TWO);
    for (const id of ["", "three", "ONE", "__proto__", "constructor"]) expect(RING.find(id)).toBeUndefined();
  });

  test("takes 32 bytes, base64 and base64url, padded or not", () => {
    for (const key of [KEY_ONE, SLASHES]) {
      for (const form of formsOf(key)) {
        expect(
          createKeyRing({ sealing: { id: "k", key: form } })
            .find("k")
            ?.export(),
        ).toEqual(key);
      }
    }
  });

  test("keeps a copy: what the caller does to the bytes later changes nothing", () => {
    const bytes = Uint8Array.from(KEY_ONE);
    const ring = createKeyRing({ sealing: { id: "k", key: bytes } });
    expect(bytes).toEqual(Uint8Array.from(KEY_ONE));
    bytes.fill(0);
    expect(ring.find("k")?.export()).toEqual(KEY_ONE);
  });

  test("takes the same key twice, but not two keys under one id", () => {
    const sealing = { id: "k", key: KEY_ONE };
    expect(
      createKeyRing({ sealing, opening: [{ id: "k", key: KEY_ONE.toString("base64") }] }).keyIds,
    ).toEqual(["k"]);
    const error = errorOf(() => createKeyRing({ sealing, opening: [sealing, { id: "k", key: KEY_TWO }] }));
    expect(error.option).toBe("opening[1].id");
  });

  test.each([
    ["no options", undefined, "sealing.id"],
    ["no sealing key", {}, "sealing.id"],
    ["an empty id", { sealing: { id: "", key: KEY_ONE } }, "sealing.id"],
    ["an id with a colon", { sealing: { id: "a:b", key: KEY_ONE } }, "sealing.id"],
    ["no key", { sealing: { id: "k" } }, "sealing.key"],
    ["a key of 31 bytes", { sealing: { id: "k", key: KEY_ONE.subarray(1) } }, "sealing.key"],
    ["a key of 33 bytes", { sealing: { id: "k", key: Buffer.alloc(33) } }, "sealing.key"],
    ["an array of numbers", { sealing: { id: "k", key: [...KEY_ONE] } }, "sealing.key"],
    ["a text of 31 bytes", { sealing: { id: "k", key: Buffer.alloc(31).toString("base64") } }, "sealing.key"],
    ["a hexadecimal text", { sealing: { id: "k", key: KEY_ONE.toString("hex") } }, "sealing.key"],
    ["two alphabets in one text", { sealing: { id: "k", key: `+_${"A".repeat(41)}` } }, "sealing.key"],
    ["a text with bits left over", { sealing: { id: "k", key: `${"A".repeat(42)}B` } }, "sealing.key"],
    [
      "a bad opening key",
      { sealing: { id: "k", key: KEY_ONE }, opening: [{ id: "l", key: "short" }] },
      "opening[0].key",
    ],
    ["opening that is no array", { sealing: { id: "k", key: KEY_ONE }, opening: "l" }, "opening"],
  ])("refuses %s and names the option", (_, options, option) => {
    expect(errorOf(() => createKeyRing(options as unknown as KeyRingOptions)).option).toBe(option);
  });

  test("shows ids and nothing of the keys when printed", () => {
    const sealer = createSealer(RING, systemRuntime);
    for (const shown of [printed(RING), printed(sealer), printed({ RING, list: [RING.find("one")] })]) {
      expectNothingOf(KEY_ONE, shown);
      expectNothingOf(KEY_TWO, shown);
    }
    expect(JSON.parse(JSON.stringify(RING))).toEqual({ sealingKeyId: "one", keyIds: ["one", "two"] });
  });

  test("cannot be changed", () => {
    expect(Object.isFrozen(RING) && Object.isFrozen(RING.keyIds)).toBe(true);
  });
});

describe("keys as text", () => {
  const one = `one:${KEY_ONE.toString("base64")}`;
  const two = `two:${KEY_TWO.toString("base64url")}`;

  test.each([
    ["commas", `${one},${two}`],
    ["commas and spaces", ` ${one} , ${two},`],
    ["white space", `${one}\t${two}`],
    ["lines", `${one}\n${two}\n`],
    ["Windows lines and a byte order mark", `\ufeff${one}\r\n${two}\r\n`],
    ["comments", `# ours, since:March\n${one} # sealing\n  # yesterday's\n${two}\n#`],
  ])("are separated by %s; the first seals", (_, text) => {
    const ring = parseKeys(text, "KEYS");
    expect(ring.keyIds).toEqual(["one", "two"]);
    expect(ring.find("one")?.export()).toEqual(KEY_ONE);
    expect(ring.find("two")?.export()).toEqual(KEY_TWO);
  });

  test("a # inside an entry is no comment: the entry is refused, not shortened", () => {
    expect(errorOf(() => parseKeys(`${one}#${two}`, "KEYS")).message).toContain("entry 1");
  });

  test.each([
    ["nothing", ""],
    ["comments alone", "# a\n, ,\n"],
    ["no colon", `${one},${KEY_TWO.toString("base64")}`],
    ["no id", `:${KEY_ONE.toString("base64")}`],
    ["the key before the id", `${KEY_ONE.toString("base64url")}:one`],
    ["a short key", "one:AAAA"],
    ["two keys under one id", `${one} one:${KEY_TWO.toString("base64")}`],
  ])("are refused: %s", (_, text) => {
    const error = errorOf(() => parseKeys(text, "APP_KEYS"));
    expect(error.option).toBe("APP_KEYS");
    expectNothingOf(KEY_ONE, printed(error));
    expectNothingOf(KEY_TWO, printed(error));
  });

  test("never show up in an error, however they are mangled", () => {
    const mangled = fc.tuple(
      fc.nat(),
      fc.constantFrom("", ":", ",", " ", "!", "#", "\n", "=", "k:"),
      fc.nat(12),
    );
    fc.assert(
      fc.property(mangled, ([place, inserted, removed]) => {
        const text = `${one},${two}`;
        const at = place % text.length;
        try {
          parseKeys(text.slice(0, at) + inserted + text.slice(at + removed), "KEYS");
        } catch (error) {
          expect(error).toBeInstanceOf(OptionsError);
          expectNothingOf(KEY_ONE, printed(error));
          expectNothingOf(KEY_TWO, printed(error));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a generated key", () => {
  test("is an entry that parses, with the id asked for or a random one", () => {
    expect(parseKeys(generateKey(systemRuntime, "2026-01"), "KEYS").sealingKeyId).toBe("2026-01");
    const ids = Array.from({ length: 20 }, () => parseKeys(generateKey(systemRuntime), "KEYS").sealingKeyId);
    expect(new Set(ids).size).toBe(20);
    for (const id of ids) expect(id).toMatch(/^k-[0-9a-f]{8}$/);
  });

  test("is the runtime's randomness, which is wiped", () => {
    const drawn: Buffer[] = [];
    const runtime = {
      ...systemRuntime,
      randomBytes(length: number) {
        const bytes = Buffer.alloc(length, SLASHES);
        drawn.push(bytes);
        return bytes;
      },
    };
    expect(generateKey(runtime, "k")).toBe(`k:${"_".repeat(42)}8`);
    expect(drawn).toEqual([Buffer.alloc(32)]);
  });

  test("is refused an id of the wrong form", () => {
    for (const id of ["", "a:b", "x".repeat(33)])
      expect(errorOf(() => generateKey(systemRuntime, id)).option).toBe("id");
  });
});

const NEXT = "next";

test("a ring made of any valid entries opens what its sealing key sealed", () => {
  const id = fc.stringMatching(/^[A-Za-z0-9._-]{1,32}$/);
  const entry: fc.Arbitrary<KeyEntry> = fc.record({
    id,
    key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  });
  fc.assert(
    fc.property(
      entry,
      fc.uniqueArray(entry, { selector: (it) => it.id, maxLength: 5 }),
      (sealing, others) => {
        const opening = others.filter((other) => other.id !== sealing.id && other.id !== NEXT);
        const sealed = createSealer(createKeyRing({ sealing }), systemRuntime).seal(KEY_ONE, CONTEXT);
        const later = createKeyRing({
          sealing: { id: NEXT, key: KEY_TWO },
          opening: [sealing, ...opening],
        });
        expect(createSealer(later, systemRuntime).open(sealed, CONTEXT)).toMatchObject({
          ok: true,
          keyId: sealing.id,
        });
      },
    ),
  );
});

/** No run of 6 bytes of the key, in any of the forms a value is printed in. */
function expectNothingOf(key: Buffer, shown: string): void {
  const lower = shown.toLowerCase();
  for (let start = 0; start + 6 <= key.length; start += 3) {
    const part = key.subarray(start, start + 6);
    for (const form of [part.toString("base64"), part.toString("base64url")])
      expect(shown).not.toContain(form);
    for (const form of [part.toString("hex"), part.toString("hex").replaceAll(/..(?!$)/g, "$& ")]) {
      expect(lower).not.toContain(form);
    }
    expect(shown).not.toContain([...part].join(","));
    expect(shown).not.toContain([...part].join(", "));
  }
}
