import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringSecrets } from "../../examples/demo/scan.ts";
import { createWindowScan } from "./windows.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".split("");
const opaque = fc
  .array(fc.constantFrom(...ALPHABET), { minLength: 60, maxLength: 200 })
  .map((characters) => characters.join(""));

const amid = (content: string | Uint8Array): { name: string; bytes: Buffer } => ({
  name: "log",
  bytes: Buffer.concat([Buffer.alloc(31, 0xfe), Buffer.from(content), Buffer.alloc(37, 1)]),
});

const writings: readonly (readonly [string, (piece: Buffer) => string | Uint8Array])[] = [
  ["as they are", (piece) => piece],
  ["in UTF-16", (piece) => Buffer.from(piece.toString(), "utf16le")],
  ["in hexadecimal", (piece) => piece.toString("hex")],
  ["in upper-case hexadecimal", (piece) => piece.toString("hex").toUpperCase()],
  ["in base64", (piece) => piece.toString("base64")],
  ["in base64url", (piece) => piece.toString("base64url")],
  ["in base64, folded", (piece) => piece.toString("base64").replace(/.{16}/g, "$&\r\n")],
  ["in a URL", (piece) => encodeURIComponent(piece.toString())],
  ["as Node prints a Buffer", (piece) => inspect(piece)],
  ["as Node prints bytes", (piece) => inspect(new Uint8Array(piece))],
  ["as JSON has a Buffer", (piece) => JSON.stringify(piece)],
];

describe("any 24 characters of a secret are found", () => {
  test.each(writings)("%s", (_how, write) => {
    fc.assert(
      fc.property(opaque, fc.double({ min: 0, max: 1, noNaN: true }), (secret, where) => {
        const scan = createWindowScan(stringSecrets("secret", [secret]));
        const from = Math.floor(where * (secret.length - 24));
        const found = scan.find([amid(write(Buffer.from(secret.slice(from, from + 24))))]);
        expect(found.map(({ what }) => what)).toEqual(["secret 1"]);
      }),
    );
  });

  test("of bytes too, which use every value", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat(8), (key, from) => {
        const scan = createWindowScan([{ label: "key", value: key }]);
        const piece = Buffer.from(key.subarray(from, from + 24));
        for (const write of [piece, piece.toString("hex"), piece.toString("base64")]) {
          expect(scan.find([amid(write)])).toHaveLength(1);
        }
      }),
    );
  });
});

test("twelve characters of a secret are not a leak, nor is the header that all tokens share", () => {
  const header = Buffer.from(JSON.stringify({ alg: "RS256", typ: "JWT", kid: "a key id" }));
  const token = `${header.toString("base64url")}.${"payload0".repeat(9)}.${"abcdefghijkl".repeat(4)}`;
  const scan = createWindowScan(stringSecrets("token", [token]));
  expect(scan.find([amid(token.slice(0, 60)), amid("payload0payl")])).toEqual([]);
  expect(scan.find([amid(token)])).toHaveLength(1);
});

test("a secret shorter than that is found whole", () => {
  const scan = createWindowScan(stringSecrets("secret", ["local-web-app-secret"]));
  expect(scan.find([amid("local-web-app-secret")])).toHaveLength(1);
  expect(scan.find([amid("local-web-app")])).toEqual([]);
  expect(() => createWindowScan(stringSecrets("secret", ["short"]))).toThrow(/too short/);
});

test("a report never repeats what was found", () => {
  const secret = "wQ8x-very-secret-refresh-token-0123456789";
  const found = createWindowScan(stringSecrets("secret", [secret])).find([amid(secret)]);
  expect(JSON.stringify(found)).not.toContain(secret.slice(0, 8));
});
