import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { isKeyId, parseHeader, parsePlain, startHeader, writePlain } from "../../src/envelope/format.ts";

const HEADER = startHeader("key-1", Buffer.alloc(32, 0xaa), 0);

function reasonOf(bytes: Uint8Array): string {
  const parsed = parseHeader(bytes);
  return parsed.ok ? "ok" : parsed.reason;
}

/** The flags of texts that were packed. */
const PACKED = [2, 4];

describe("the header", () => {
  test("has the documented bytes at the documented places", () => {
    const expected = "544b45" + "01" + "01" + "00" + "05" + "6b65792d31" + "aa".repeat(32) + "00".repeat(32);
    expect(HEADER.bytes.toString("hex")).toBe(expected);
  });

  test("is read back field by field", () => {
    const salt = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
    const header = startHeader("A.b_c-9", salt, 0);
    header.commitment.fill(0xcc);
    const parsed = parseHeader(Buffer.concat([header.bytes, Buffer.from("ciphertext")]));
    expect(parsed).toEqual({
      ok: true,
      header: {
        suite: 1,
        flags: 0,
        keyId: "A.b_c-9",
        salt,
        commitment: Buffer.alloc(32, 0xcc),
        bytes: header.bytes,
      },
    });
  });

  test("is found in a view that starts in the middle of its buffer", () => {
    const whole = new Uint8Array(HEADER.bytes.length + 20);
    whole.set(HEADER.bytes, 13);
    expect(reasonOf(whole.subarray(13))).toBe("ok");
  });

  test("is refused when cut short, at every length", () => {
    for (let length = 0; length < HEADER.bytes.length; length += 1) {
      expect(reasonOf(HEADER.bytes.subarray(0, length)), `length ${length}`).toBe("refused");
    }
    expect(reasonOf(HEADER.bytes)).toBe("ok");
  });

  test("of any other version, suite or flags is unsupported, however long", () => {
    for (const position of [3, 4, 5]) {
      for (let value = 0; value < 256; value += 1) {
        if (value === HEADER.bytes[position] || (position === 5 && PACKED.includes(value))) continue;
        const other = Buffer.from(HEADER.bytes);
        other[position] = value;
        expect(reasonOf(other)).toBe("unsupported");
        expect(reasonOf(other.subarray(0, position + 1))).toBe("unsupported");
      }
    }
  });

  test("is refused when its key id is empty, too long or outside the alphabet", () => {
    const withKeyId = (length: number, id: string): Buffer =>
      Buffer.concat([
        Buffer.from("TKE\x01\x01\x00"),
        Buffer.of(length),
        Buffer.from(id, "latin1"),
        Buffer.alloc(96),
      ]);
    expect(reasonOf(withKeyId(2, "ab"))).toBe("ok");
    expect(reasonOf(withKeyId(32, "a".repeat(32)))).toBe("ok");
    expect(reasonOf(withKeyId(0, ""))).toBe("refused");
    expect(reasonOf(withKeyId(33, "a".repeat(33)))).toBe("refused");
    for (const id of ["a b", "a\n", "a/b", "\u00e9", "a\0", "a:b"]) {
      expect(reasonOf(withKeyId(id.length, id)), JSON.stringify(id)).toBe("refused");
    }
  });

  test("parses any bytes without throwing", () => {
    const tail = fc.uint8Array({ maxLength: 200 });
    const magic = fc.constantFrom(
      "",
      "TKE",
      "TKE\x01",
      "TKE\x01\x01\x00",
      "TKE\x01\x01\x00\x03abc",
      "TKP\x01",
    );
    fc.assert(
      fc.property(magic, tail, (start, rest) => {
        const bytes = Buffer.concat([Buffer.from(start), rest]);
        expect(["ok", "refused", "unsupported"]).toContain(reasonOf(bytes));
        parsePlain(bytes);
      }),
    );
  });
});

describe("a key id", () => {
  test("is 1 to 32 characters of the alphabet and nothing else", () => {
    for (const id of ["a", "2026-01", "A.b_c-9", "x".repeat(32)]) expect(isKeyId(id)).toBe(true);
    for (const id of ["", "x".repeat(33), "a:b", "a b", "a\n", "é", undefined, 7])
      expect(isKeyId(id)).toBe(false);
  });
});

describe("the mark of unsealed bytes", () => {
  test("is taken off again, and the text is a copy", () => {
    const written = writePlain(Buffer.from("text"));
    expect(written.toString("latin1")).toBe("TKP\x01text");
    const parsed = parsePlain(written);
    written.fill(0);
    expect(parsed).toEqual({ ok: true, plaintext: Buffer.from("text") });
  });

  test("of a later version is unsupported; without it nothing is taken for text", () => {
    expect(parsePlain(Buffer.from("TKP\x02text"))).toEqual({ ok: false, reason: "unsupported" });
    for (const text of ["", "T", "TKP", "{}", "tkp\x01{}"]) {
      expect(parsePlain(Buffer.from(text)), text).toEqual({ ok: false, reason: "refused" });
    }
  });
});
