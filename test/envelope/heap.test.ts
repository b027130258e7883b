/** What is left in the memory of a process that has got its keys: no text of them (the garbage is collected). */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CryptographyClient } from "@azure/keyvault-keys";
import { afterAll, beforeAll, expect, test } from "vitest";

import { azureKeyVault } from "../../src/adapters/azure-key-vault.ts";
import {
  keyRingWrapper,
  keysFromFile,
  newWrappedKey,
  writeNewKeyFile,
  type KeyWrapper,
} from "../../src/index.ts";
import type { Leak } from "../../examples/demo/scan.ts";
import { createWindowScan } from "../canary/windows.ts";
import { startKeyVault, type KeyVault } from "../services/key-vault.ts";

const CHILD = join(import.meta.dirname, "children/hold-keys.ts");
const folder = mkdtempSync(join(tmpdir(), "tokenkeep-heap-"));
const file = join(folder, "keys");

let vault: KeyVault;
beforeAll(async () => {
  writeNewKeyFile(file);
  vault = await startKeyVault();
});
afterAll(async () => {
  await vault.close();
  rmSync(folder, { recursive: true, force: true });
});

/** @returns which pieces of `key` stand in the heap of a process that got its keys so */
async function leaksInHeap(key: Uint8Array, how: string, rest: readonly string[], env = {}): Promise<Leak[]> {
  const snapshot = join(folder, `${how}.heapsnapshot`);
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, how, snapshot, ...rest], {
    env: { ...process.env, ...env },
  });
  expect(stdout).toMatch(/^\S+ \d+\n$/);
  const bytes = readFileSync(snapshot);
  expect(bytes.length).toBeGreaterThan(1_000_000);
  return createWindowScan([{ label: "key", value: key }]).find([{ name: "heap", bytes }]);
}

/** An entry, and the key in it. */
async function wrappedBy(wrapper: KeyWrapper): Promise<{ readonly entry: string; readonly key: Buffer }> {
  let key = Buffer.alloc(0);
  const watched: KeyWrapper = {
    ...wrapper,
    wrap: (dataKey, options) => ((key = Buffer.from(dataKey)), wrapper.wrap(dataKey, options)),
  };
  return { entry: await newWrappedKey(watched), key };
}

function keyInFile(): Buffer {
  const ring = keysFromFile(file);
  return ring.find(ring.sealingKeyId)!.export();
}

test("keys from a file leave no text of them in the heap", async () => {
  expect(await leaksInHeap(keyInFile(), "file", [file])).toEqual([]);
});

test("a text that is held would be seen", async () => {
  expect(await leaksInHeap(keyInFile(), "file", [file], { HOLD_AS_TEXT: "1" })).not.toEqual([]);
});

test("neither do wrapped keys, nor the key that they are wrapped under", async () => {
  const { entry, key } = await wrappedBy(keyRingWrapper(keysFromFile(file)));
  expect(await leaksInHeap(key, "wrapped", [file, entry])).toEqual([]);
  expect(await leaksInHeap(keyInFile(), "wrapped", [file, entry])).toEqual([]);
});

test("neither do keys that a vault has unwrapped, for all that its client reads them as text", async () => {
  vault.rotate("tokens");
  const keyId = `${vault.url}/keys/tokens`;
  const credential = {
    getToken: async () => ({ token: vault.token, expiresOnTimestamp: Date.now() + 3_600_000 }),
  };
  const options = { tlsOptions: { ca: vault.ca }, disableChallengeResourceVerification: true };
  const { entry, key } = await wrappedBy(
    azureKeyVault({ keyId, client: (vaultKey) => new CryptographyClient(vaultKey, credential, options) }),
  );
  expect(await leaksInHeap(key, "vault", [keyId, vault.ca, vault.token, entry])).toEqual([]);
});
