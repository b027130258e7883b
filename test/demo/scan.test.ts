import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { filesWithoutKeys, temporaryDataFolder } from "../../examples/demo/data-folder.ts";
import { findSecrets, keySecrets, stringSecrets } from "../../examples/demo/scan.ts";
import { sqliteStore } from "../../src/adapters/sqlite.ts";
import { keysFromFile } from "../../src/index.ts";
import { ADA, BEN, createWorld } from "../support/world.ts";

const TOKEN = `eyJhbGciOiJSUzI1NiJ9.${"payload0".repeat(20)}.${"signature".repeat(10)}`;
const secrets = stringSecrets("token", [TOKEN]);

/** `content` in the middle of other bytes, as in a file. */
const amid = (content: string | Uint8Array): { name: string; bytes: Buffer } => ({
  name: "file",
  bytes: Buffer.concat([Buffer.alloc(997, 0xfe), Buffer.from(content), Buffer.alloc(1009, 1)]),
});

describe("the scan finds a planted token", () => {
  const encoded: readonly (readonly [string, string, Uint8Array | string])[] = [
    ["as it is", "as it is", TOKEN],
    ["only its beginning", "as it is", TOKEN.slice(0, 30)],
    ["only its end", "as it is", TOKEN.slice(-30)],
    ["in base64", "base64", Buffer.from(TOKEN).toString("base64")],
    ["in base64url", "base64", Buffer.from(TOKEN).toString("base64url")],
    ["in UTF-16", "UTF-16", Buffer.from(TOKEN, "utf16le")],
    ["in hexadecimal", "hexadecimal", Buffer.from(TOKEN).toString("hex")],
    ["in upper-case hexadecimal", "hexadecimal", Buffer.from(TOKEN).toString("hex").toUpperCase()],
  ];
  test.each(encoded)("%s", (_how, form, content) => {
    expect(findSecrets([amid(content)], secrets)).toEqual([{ where: "file", what: "token 1", form }]);
  });

  test("inside any larger text that was encoded as a whole", () => {
    const encoding = fc.constantFrom("base64" as const, "base64url" as const, "hex" as const);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array(), encoding, (before, after, form) => {
        const whole = Buffer.concat([before, Buffer.from(TOKEN), after]).toString(form);
        expect(findSecrets([amid(whole)], secrets)).toHaveLength(1);
      }),
    );
  });

  test("and any random bytes, which use every character of base64", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat(3), (key, offset) => {
        const whole = Buffer.concat([Buffer.alloc(offset, 7), key, Buffer.alloc(5, 9)]);
        for (const form of ["base64", "base64url", "hex", "latin1"] as const) {
          const found = findSecrets(
            [amid(Buffer.from(whole.toString(form), "latin1"))],
            [{ label: "key", value: key }],
          );
          expect(found, form).toHaveLength(1);
        }
      }),
    );
  });
});

test("the scan finds nothing where nothing is, and never repeats a secret", () => {
  const other = TOKEN.replaceAll("signature", "erutangis").replaceAll("eyJhb", "other");
  expect(findSecrets([amid(other)], secrets)).toEqual([]);
  expect(JSON.stringify(findSecrets([amid(TOKEN)], secrets))).not.toContain("eyJ");
});

test("the scan refuses an empty secret, which would be everywhere", () => {
  expect(() => findSecrets([amid("text")], stringSecrets("token", [""]))).toThrow(/empty secret/);
});

describe("in the files of a SQLite store", () => {
  async function signInAndScan(sealed: boolean): Promise<ReturnType<typeof findSecrets>> {
    const data = temporaryDataFolder();
    try {
      const world = createWorld();
      const store = sqliteStore({ path: data.storePath });
      const node = world.node({ store, keys: sealed ? keysFromFile(data.keyFile) : "unsealed" });
      for (const user of [ADA, BEN]) await node.signIn(user);
      // Before and after closing: the write-ahead log is gone then.
      const open = filesWithoutKeys(data);
      expect(open.map(({ name }) => name)).toContain(`${data.storePath}-wal`);
      await node.cache.close();
      const issued = stringSecrets("issued", world.authority.issued);
      return findSecrets([...open, ...filesWithoutKeys(data)], [...issued, ...keySecrets(data.keyFile)]);
    } finally {
      data.remove();
    }
  }

  test("the scan finds the tokens of an unsealed cache", async () => {
    const leaks = await signInAndScan(false);
    // Of each user an access token, a refresh token and an ID token.
    expect(new Set(leaks.map(({ what }) => what)).size).toBeGreaterThanOrEqual(6);
  });

  test("and nothing of a sealed one", async () => {
    expect(await signInAndScan(true)).toEqual([]);
  });
});

test("the keys are looked for as text and as bytes, and their own files are left out", () => {
  const data = temporaryDataFolder();
  try {
    const keyText = readFileSync(data.keyFile, "utf8").trim().split(":")[1] ?? "";
    const keys = keySecrets(data.keyFile);
    expect(findSecrets(filesWithoutKeys(data), keys)).toEqual([]);
    writeFileSync(join(data.path, "leak.log"), Buffer.from(keyText, "base64url"));
    expect(findSecrets(filesWithoutKeys(data), keys).map(({ what }) => what)).toEqual(["a key, as bytes"]);
    writeFileSync(join(data.path, "leak.log"), `key=${keyText}`);
    expect(findSecrets(filesWithoutKeys(data), keys).map(({ what }) => what)).toEqual([
      "a key, as text",
      "a key, as bytes",
    ]);
  } finally {
    data.remove();
  }
});
