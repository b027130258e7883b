import { CryptographyClient } from "@azure/keyvault-keys";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

import { azureKeyVault } from "../../src/adapters/azure-key-vault.ts";
import type { AzureKeyVaultOptions } from "../../src/adapters/azure-key-vault.ts";
import type { KeyWrapper } from "../../src/envelope/key-wrapper.ts";
import { newWrappedKey } from "../../src/envelope/new-wrapped-key.ts";
import { rewrapKeys } from "../../src/envelope/rewrap-keys.ts";
import { keysFromWrapped } from "../../src/envelope/wrapped-keys.ts";
import type { WrappedKeysOptions } from "../../src/envelope/wrapped-keys.ts";
import { OptionsError } from "../../src/errors.ts";
import { fakeRuntime } from "../adapters/fake-runtime.ts";
import { errorOf } from "../support/error-of.ts";
import { createTape } from "../canary/tape.ts";
import { createWindowScan } from "../canary/windows.ts";
import { startKeyVault, type KeyVault } from "../services/key-vault.ts";

// Before the client is loaded, which reads it then.
vi.hoisted(() => void (process.env["AZURE_LOG_LEVEL"] = "verbose"));

const HOUR = 3_600_000;

/** What the vault's own client logs, at its most talkative. */
const logged: string[] = [];
beforeEach(() => {
  logged.length = 0;
  vi.spyOn(process.stderr, "write").mockImplementation((text) => logged.push(String(text)) > 0);
});
afterEach(() => void vi.restoreAllMocks());

let vault: KeyVault;
beforeAll(async () => void (vault = await startKeyVault()));
afterAll(() => vault.close());
beforeEach(() => {
  vault.fault = undefined;
  vault.faults.length = 0;
  vault.calls.length = 0;
  for (const permission of ["get", "wrapKey", "unwrapKey"] as const) vault.permissions.add(permission);
});

/** A key of its own for each test. */
let keyCount = 0;
function newKey(kind?: "RSA" | "oct-HSM"): { name: string; version: string; keyId: string } {
  const name = `key-${++keyCount}`;
  const version = vault.rotate(name, kind);
  return { name, version, keyId: `${vault.url}/keys/${name}` };
}

/** As an application makes it, but for the certificate and the name of the host. */
const client: AzureKeyVaultOptions["client"] = (key) =>
  new CryptographyClient(
    key,
    { getToken: async () => ({ token: vault.token, expiresOnTimestamp: Date.now() + HOUR }) },
    {
      tlsOptions: { ca: vault.ca },
      disableChallengeResourceVerification: true,
      retryOptions: { maxRetries: 2, retryDelayInMs: 1, maxRetryDelayInMs: 1 },
    },
  );

/** Remembers every data key that goes through. */
function watched(wrapper: KeyWrapper, seen: Buffer[]): KeyWrapper {
  return {
    ...wrapper,
    wrap: (dataKey, options) => (seen.push(Buffer.from(dataKey)), wrapper.wrap(dataKey, options)),
  };
}

/** A ring of one key, and what unwrapped it. */
async function ringOf(options: Partial<WrappedKeysOptions> = {}) {
  const key = newKey();
  const dataKeys: Buffer[] = [];
  const entry = await newWrappedKey(watched(azureKeyVault({ keyId: key.keyId, client }), dataKeys), {
    id: "k",
  });
  // Another process's: it has clients of its own, which know nothing yet.
  const wrapper = azureKeyVault({ keyId: key.keyId, client });
  const runtime = fakeRuntime();
  vault.calls.length = 0;
  const source = keysFromWrapped({ wrapper, keys: entry, runtime, ...options });
  return { ...key, wrapper, entry, dataKey: dataKeys[0]!, source, runtime };
}

describe("a data key", () => {
  test("goes into the vault and comes back the same, under the version that is named", async () => {
    const { name, version, entry, dataKey, source } = await ringOf();
    expect(entry.startsWith(`k:${version}:`)).toBe(true);
    const ring = await source.load();
    expect(ring.find("k")?.export()).toEqual(dataKey);
    expect(vault.calls).toEqual([`unwrapkey ${name}/${version}`]);
  });

  test("is unwrapped by one call, whoever asks", async () => {
    const { source } = await ringOf();
    await Promise.all(Array.from({ length: 100 }, () => source.load()));
    await source.load();
    expect(vault.calls).toHaveLength(1);
  });

  test("needs no other permission to be unwrapped, and none to get the key", async () => {
    const { source } = await ringOf();
    vault.permissions.delete("get");
    vault.permissions.delete("wrapKey");
    expect((await source.load()).find("k")).toBeDefined();
  });

  test("opens after the vault has rotated its key, and a new one is wrapped under the new version", async () => {
    const { name, version, wrapper, entry, dataKey } = await ringOf();
    const newer = vault.rotate(name);
    const newEntry = await newWrappedKey(wrapper, { id: "k2" });
    expect(newEntry.startsWith(`k2:${newer}:`)).toBe(true);
    vault.calls.length = 0;
    const ring = await keysFromWrapped({ wrapper, keys: `${newEntry} ${entry}` }).load();
    expect(ring.find("k")?.export()).toEqual(dataKey);
    expect(vault.calls).toEqual([`unwrapkey ${name}/${newer}`, `unwrapkey ${name}/${version}`]);
  });

  test("wrapped anew needs the old version no more", async () => {
    const { name, version, wrapper, entry, dataKey } = await ringOf();
    const newer = vault.rotate(name);
    const keys = await rewrapKeys(entry, { from: wrapper });
    expect(keys.startsWith(`k:${newer}:`)).toBe(true);
    vault.setAttributes(name, version, { enabled: false });
    expect((await keysFromWrapped({ wrapper, keys }).load()).find("k")?.export()).toEqual(dataKey);
  });

  test("opens under a version that has expired, as the vault itself allows", async () => {
    const { name, version, dataKey, source } = await ringOf();
    vault.setAttributes(name, version, { exp: 1 });
    expect((await source.load()).find("k")?.export()).toEqual(dataKey);
  });

  test("is wrapped under the version that keyId names, if it names one", async () => {
    const { name, version, keyId } = newKey();
    vault.rotate(name);
    vault.permissions.delete("get");
    const wrapper = azureKeyVault({ keyId: `${keyId}/${version}`, client });
    expect((await newWrappedKey(wrapper, { id: "k" })).startsWith(`k:${version}:`)).toBe(true);
  });

  test("is wrapped under the version it says, also where the vault rotates in between", async () => {
    const { name, keyId } = newKey();
    const wrapper = azureKeyVault({
      keyId,
      client: (key) => {
        const made = client(key);
        const isFirst = typeof key === "string";
        return {
          unwrapKey: (...args) => made.unwrapKey(...args),
          async wrapKey(...args) {
            const answer = await made.wrapKey(...args);
            if (isFirst) vault.rotate(name);
            return answer;
          },
        };
      },
    });
    const entry = await newWrappedKey(wrapper, { id: "k" }); // which unwraps it again
    expect((await keysFromWrapped({ wrapper, keys: entry }).load()).find("k")).toBeDefined();
  });

  test("goes into a Managed HSM by its AES key", async () => {
    const { keyId } = newKey("oct-HSM");
    const wrapper = azureKeyVault({ keyId, client, algorithm: "A256KW" });
    const dataKeys: Buffer[] = [];
    const entry = await newWrappedKey(watched(wrapper, dataKeys), { id: "k" });
    const ring = await keysFromWrapped({ wrapper, keys: entry }).load();
    expect(ring.find("k")?.export()).toEqual(dataKeys[0]);
  });
});

describe("a vault that does not answer", () => {
  test.each([
    ["breaks the connection", { kind: "down" }, "RestError"],
    ["is busy", { kind: "status", status: 429, code: "Throttled" }, "429"],
    ["is out of order", { kind: "status", status: 503, code: "ServiceUnavailable" }, "503"],
    ["is behind a proxy that says no", { kind: "status", status: 403 }, "403"],
    ["is behind a proxy that knows no way", { kind: "status", status: 404 }, "404"],
    [
      "has a firewall that says no",
      { kind: "status", status: 403, code: "Forbidden", inner: "ForbiddenByFirewall" },
      "ForbiddenByFirewall",
    ],
    ["breaks off in its answer", { kind: "half an answer" }, "PARSE_ERROR"],
  ] as const)(
    "because it %s: a clear error, retryable at the start, and grace later",
    async (_what, fault, shown) => {
      const grace: string[] = [];
      const { source, wrapper, entry, runtime, dataKey } = await ringOf({
        refreshMs: HOUR,
        graceMs: HOUR,
      });
      vault.fault = fault;
      const atStart = await errorOf(keysFromWrapped({ wrapper, keys: entry }).load());
      expect(atStart).toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", retryable: true });
      expect(atStart.message).toContain(shown);

      vault.fault = undefined;
      const ring = await source.load();
      vault.fault = fault;
      await runtime.advance(HOUR);
      await source.load({ onGrace: ({ error }) => grace.push(error.message) });
      expect(grace).toHaveLength(1);
      expect(ring.find("k")?.export()).toEqual(dataKey);
      await runtime.advance(HOUR);
      expect(await errorOf(source.load())).toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", retryable: true });
      expect(ring.find("k")).toBeUndefined();

      vault.fault = undefined;
      await source.load();
      expect(ring.find("k")?.export()).toEqual(dataKey);
    },
  );

  test("is not waited for longer than the budget, and its request is given up", async () => {
    const { source, runtime } = await ringOf({ budgetMs: 500 });
    vault.fault = { kind: "hangs" };
    const loading = errorOf(source.load());
    await expect.poll(() => runtime.pendingTimers()).toBe(1);
    await runtime.advance(500);
    expect((await loading).message).toContain("did not answer within 500 ms");
  });

  test("is asked again by its own client while it throttles", async () => {
    const { source } = await ringOf();
    vault.faults.push(
      { kind: "status", status: 429, code: "Throttled" },
      { kind: "status", status: 429, code: "Throttled" },
    );
    expect((await source.load()).find("k")).toBeDefined();
    expect(vault.faults).toEqual([]);
  });
});

describe("a vault that refuses", () => {
  test("for want of a permission says which, and need not be asked again", async () => {
    const { source, wrapper } = await ringOf();
    vault.permissions.delete("unwrapKey");
    const error = await errorOf(source.load());
    expect(error).toMatchObject({ code: "ERR_KEYS_REFUSED", retryable: false });
    expect(error.message).toContain("keys/unwrapKey (403 Forbidden ForbiddenByRbac)");
    vault.permissions.delete("wrapKey");
    const wrapping = await errorOf(newWrappedKey(wrapper));
    expect(wrapping).toMatchObject({ code: "ERR_KEYS_REFUSED" });
    expect(wrapping.message).toContain("keys/wrapKey");
  });

  test("to say which version is the newest has one named", async () => {
    const { keyId } = newKey();
    vault.permissions.delete("get");
    const error = await errorOf(newWrappedKey(azureKeyVault({ keyId, client })));
    expect(error).toMatchObject({ code: "ERR_KEYS_REFUSED" });
    expect(error.message).toContain("grant keys/get, or name the version in keyId");
  });

  test("because the version is disabled ends the use of the key at the next refresh", async () => {
    const { source, name, version, runtime } = await ringOf({ refreshMs: HOUR });
    const ring = await source.load();
    vault.setAttributes(name, version, { enabled: false });
    await runtime.advance(HOUR);
    const error = await errorOf(source.load());
    expect(error).toMatchObject({ code: "ERR_KEYS_REFUSED" });
    expect(error.message).toContain("KeyDisabled");
    expect(ring.find("k")).toBeUndefined();
  });

  test("because there is no such version, or it is another one's", async () => {
    const { wrapper, entry, name, version } = await ringOf();
    const other = vault.rotate(name);
    for (const [named, status] of [
      [version.replace(/./, (digit) => (digit === "0" ? "1" : "0")), "404"],
      [other, "400"],
    ] as const) {
      const keys = entry.replace(version, named);
      const error = await errorOf(keysFromWrapped({ wrapper, keys }).load());
      expect(error).toMatchObject({ code: "ERR_KEYS_REFUSED", retryable: false });
      expect(error.message).toContain(status);
    }
  });

  test("to wrap under a version that has expired says so", async () => {
    const { name, version, keyId } = newKey();
    vault.setAttributes(name, version, { exp: 1 });
    const error = await errorOf(newWrappedKey(azureKeyVault({ keyId, client })));
    expect(error).toMatchObject({ code: "ERR_KEYS_REFUSED" });
    expect(error.message).toContain("expired");
  });
});

test("a version is never more than a version: it leads to no other address", async () => {
  const { wrapper, entry, version } = await ringOf();
  for (const named of ["..", "a/b", "a?b", "%2e%2e", "a#b", "https://evil.example/keys/k/v"]) {
    const keys = entry.replace(version, named);
    expect(await errorOf(keysFromWrapped({ wrapper, keys }).load())).toMatchObject({
      code: "ERR_KEYS_REFUSED",
    });
  }
  expect(vault.calls).toEqual([]);
});

test("no piece of a key or of an access token stands in an error, nor in what the vault's own client logs", async () => {
  const { source, wrapper, entry, dataKey } = await ringOf();
  const tape = createTape();
  tape.note("what is made", wrapper, source);
  const [, version = "", wrapped = ""] = entry.split(":");
  for (const fault of [
    { kind: "half an answer" },
    { kind: "down" },
    { kind: "status", status: 403, code: "Forbidden" },
    { kind: "status", status: 500, code: "Oops" },
  ] as const) {
    vault.fault = fault;
    tape.note("errors", await errorOf(keysFromWrapped({ wrapper, keys: entry }).load()));
    tape.note("errors", await errorOf(newWrappedKey(wrapper)));
    const vaultsOwn = client(`${vault.url}/keys/key-${keyCount}/${version}`);
    const work = vaultsOwn.unwrapKey("RSA-OAEP-256", Buffer.from(wrapped, "base64url"));
    tape.note("the client's own errors", await work.catch((error: unknown) => error));
  }
  vault.fault = undefined;
  tape.note("what is made", await source.load());
  tape.note("the client's log", ...logged);
  expect(logged.length).toBeGreaterThan(10);

  const secrets = [
    { label: "data key", value: dataKey },
    { label: "access token", value: vault.token },
  ];
  const leaks = createWindowScan(secrets).find(tape.haystacks());
  // The scan sees what is there: an answer that broke off stands in the client's error, with the key.
  expect(leaks).toMatchObject([{ where: "the client's own errors", what: "data key" }]);
});

test("the options are checked where they are given", () => {
  const keyId = "https://v.vault.azure.net/keys/k";
  for (const wrong of [
    undefined,
    "",
    "k",
    "http://v.vault.azure.net/keys/k",
    "https://v/secrets/k",
    `${keyId}/1/2`,
  ]) {
    expect(() => azureKeyVault({ keyId: wrong as string, client })).toThrow(/option `keyId`/);
  }
  expect(() => azureKeyVault({ keyId } as never)).toThrow(/option `client`/);
  expect(() => azureKeyVault({ keyId, client, algorithm: "RSA1_5" as never })).toThrow(/option `algorithm`/);
  expect(() => azureKeyVault({ keyId, client, keyID: keyId } as never)).toThrow(/keyID/);
  expect(() => azureKeyVault(undefined as never)).toThrow(OptionsError);
  expect(azureKeyVault({ keyId: `${keyId}/0123456789abcdef`, client }).name).toBe("azure-key-vault");
});
