import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canUnpack, pack, systemZstd, unpack } from "../../src/envelope/compression.ts";
import { parseHeader } from "../../src/envelope/format.ts";
import { createSealer, type Packing } from "../../src/envelope/sealer.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { CONTEXT, RING } from "./support.ts";

const sealerWith = (packing: Packing) => createSealer(RING, systemRuntime, packing);
const flagsOf = (bytes: Uint8Array): number | undefined => {
  const parsed = parseHeader(bytes);
  return parsed.ok ? parsed.header.flags : undefined;
};

/** As a record is: JSON with long pieces that do not repeat. */
const texts = fc
  .array(fc.record({ secret: fc.uint8Array({ minLength: 200, maxLength: 900 }), more: fc.string() }), {
    minLength: 6,
    maxLength: 30,
  })
  .map((entries) =>
    Buffer.from(
      JSON.stringify(
        entries.map(({ secret, more }) => ({
          credential_type: "AccessToken",
          environment: "login.windows.net",
          secret: Buffer.from(secret).toString("base64url"),
          more,
        })),
      ),
    ),
  );

describe.each<["auto" | "deflate", number]>([
  ["auto", 4],
  ["deflate", 2],
])("with compression %s", (compression, flags) => {
  test("any text comes back, also at a process that compresses nothing", () => {
    fc.assert(
      fc.property(fc.oneof(texts, fc.uint8Array({ maxLength: 10_000 })), (text) => {
        const sealed = sealerWith({ compression }).seal(text, CONTEXT);
        const opened = sealerWith({}).open(sealed, CONTEXT);
        expect(opened.ok && opened.plaintext.equals(text)).toBe(true);
      }),
    );
  });

  test("records become smaller, and their lengths say little: 256 bytes are one", () => {
    fc.assert(
      fc.property(texts, (text) => {
        fc.pre(text.length >= 4_096);
        const sealed = sealerWith({ compression }).seal(text, CONTEXT);
        expect(flagsOf(sealed)).toBe(flags);
        expect(sealed.length).toBeLessThan(text.length);
        expect((sealed.length - sealerWith({}).seal(Buffer.alloc(0), CONTEXT).length) % 256).toBe(0);
      }),
    );
  });

  test("short texts, and those that do not get smaller, stay as they are", () => {
    const sealer = sealerWith({ compression });
    expect(flagsOf(sealer.seal(Buffer.alloc(4_095), CONTEXT))).toBe(0);
    expect(flagsOf(sealer.seal(systemRuntime.randomBytes(20_000), CONTEXT))).toBe(0);
    expect(flagsOf(sealer.seal(Buffer.alloc(4_096), CONTEXT))).toBe(flags);
  });
});

test("without being asked for nothing is compressed", () => {
  expect(flagsOf(sealerWith({}).seal(Buffer.alloc(50_000), CONTEXT))).toBe(0);
});

describe("where Node has no zstd", () => {
  const old = { zstd: false } as const;

  test("auto takes deflate, which everybody opens", () => {
    const text = Buffer.alloc(9_000, "record ");
    const sealed = sealerWith({ ...old, compression: "auto" }).seal(text, CONTEXT);
    expect(flagsOf(sealed)).toBe(2);
    expect(sealerWith(old).open(sealed, CONTEXT)).toMatchObject({ ok: true, plaintext: text });
  });

  test("what another process has packed by it is unsupported, so retryable, and never a miss", () => {
    const sealed = sealerWith({ compression: "auto" }).seal(Buffer.alloc(9_000, "record "), CONTEXT);
    expect(sealerWith(old).open(sealed, CONTEXT)).toEqual({ ok: false, reason: "unsupported" });
    expect(canUnpack(4, false)).toBe(false);
    expect(canUnpack(2, false)).toBe(true);
  });
});

describe("what was packed by nobody of ours", () => {
  const packed = (bytes: Uint8Array, length: number): Buffer => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(length, 0);
    head.writeUInt32BE(bytes.length, 4);
    return Buffer.concat([head, bytes]);
  };

  test("is refused where it would become larger than it says, or than any text may be", () => {
    const bomb = deflateRawSync(Buffer.alloc(64 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(100_000);
    for (const length of [1_000, 16 * 1024 * 1024, 64 * 1024 * 1024, 0xffff_ffff, 0]) {
      expect(unpack(2, packed(bomb, length), systemZstd)).toBeUndefined();
    }
  });

  test("is refused, whatever bytes it is, and brings nobody down", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(2, 4),
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(70_000),
        (flags, bytes, length) => {
          expect(() => unpack(flags, packed(bytes, length), systemZstd)).not.toThrow();
          expect(() => unpack(flags, Buffer.from(bytes), systemZstd)).not.toThrow();
        },
      ),
    );
  });

  test("is refused when a byte of it was changed", () => {
    const text = Buffer.alloc(5_000, "a record, ");
    const { flags, bytes } = pack(text, "deflate", systemZstd);
    expect(unpack(flags, Buffer.from(bytes), systemZstd)).toEqual(text);
    const longer = Buffer.from(bytes);
    longer.writeUInt32BE(text.length + 1, 0);
    expect(unpack(flags, longer, systemZstd)).toBeUndefined();
  });
});
