import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  createKeyRing,
  generateKey,
  keysFromEnv,
  keysFromFile,
  parseKeys,
  writeNewKeyFile,
} from "../../src/index.ts";

const entry = { id: "k", key: new Uint8Array(32) };

test.each<[string, () => unknown]>([
  ["openning", () => createKeyRing({ sealing: entry, openning: [] } as never)],
  ["seal", () => createKeyRing({ seal: entry } as never)],
  ["name", () => keysFromEnv(undefined as never)],
  ["keys", () => parseKeys("")],
  ["keys", () => parseKeys(undefined as never)],
  ["runtime", () => generateKey("k-1" as never)],
  ["runtime", () => writeNewKeyFile("keys", {} as never)],
  ["path", () => writeNewKeyFile(undefined as never)],
])("a call that makes keys names what is wrong: %s", (option, making) => {
  expect(making).toThrow(expect.objectContaining({ code: "ERR_OPTION_INVALID", option }));
});

test("a key is made without a runtime, and is another one each time", () => {
  expect(parseKeys(generateKey()).keyIds).toHaveLength(1);
  expect(generateKey()).not.toBe(generateKey());
  expect(parseKeys(generateKey(undefined, "2026-01")).sealingKeyId).toBe("2026-01");
});

test("a key file is made without a runtime", () => {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-keys-"));
  try {
    expect(writeNewKeyFile(join(folder, "keys"))).toBe(true);
    expect(keysFromFile(join(folder, "keys")).keyIds).toHaveLength(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
