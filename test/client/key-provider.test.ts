/** An application whose keys a vault keeps: the real client of the vault, against a stand-in of it. */
import { CryptographyClient } from "@azure/keyvault-keys";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { azureKeyVault } from "../../src/adapters/azure-key-vault.ts";
import { keysFromWrapped, newWrappedKey, reloadingKeys } from "../../src/index.ts";
import { startKeyVault, type KeyVault } from "../services/key-vault.ts";
import {
  ADA,
  BEN,
  createWorld,
  READ,
  steeredRuntime,
  type Node,
  type SteeredRuntime,
  type World,
} from "../support/world.ts";

const HOUR = 3_600_000;

let vault: KeyVault;
beforeAll(async () => {
  vault = await startKeyVault();
  vault.rotate("tokens");
});
afterAll(() => vault.close());

const wrapper = () =>
  azureKeyVault({
    keyId: `${vault.url}/keys/tokens`,
    client: (key) =>
      new CryptographyClient(
        key,
        { getToken: async () => ({ token: vault.token, expiresOnTimestamp: Date.now() + HOUR }) },
        {
          tlsOptions: { ca: vault.ca },
          disableChallengeResourceVerification: true,
          retryOptions: { maxRetries: 0 },
        },
      ),
  });

let world: World;
let text: string;
beforeEach(async () => {
  world = createWorld();
  vault.fault = undefined;
  vault.permissions.add("unwrapKey");
  text = await newWrappedKey(wrapper(), { id: "2026-11" });
  vault.calls.length = 0;
});

interface VaultNode extends Node {
  /** Moves the clock that the keys' age is counted by. */
  readonly clock: SteeredRuntime;
}

/** A process of its own: its own clients of the vault, its own kept keys. */
async function start(): Promise<VaultNode> {
  const clock = steeredRuntime();
  const source = keysFromWrapped({
    wrapper: wrapper(),
    keys: () => text,
    refreshMs: HOUR,
    graceMs: HOUR,
    runtime: clock,
  });
  // No copy in memory, so that each call opens what is in the store.
  return Object.assign(world.node({ keys: await reloadingKeys(source), l1: false }), { clock });
}

const silently = ({ client }: Node, account: unknown, forceRefresh = false) =>
  client.acquireTokenSilent({ account: account as never, scopes: READ, forceRefresh });

test("two processes share what is sealed under a key that the vault unwrapped once for each", async () => {
  const [web, worker] = [await start(), await start()];
  const { account, accessToken } = await web.signIn(ADA);
  for (let index = 0; index < 20; index += 1) {
    expect((await silently(worker, account)).accessToken).toBe(accessToken);
  }
  expect(vault.calls).toHaveLength(2);
});

test("a new key, wrapped and put into the text, is in use without a restart", async () => {
  const [web, worker] = [await start(), await start()];
  await web.signIn(ADA);
  text = `${await newWrappedKey(wrapper(), { id: "2026-12" })}\n${text}`;
  expect(await web.cache.reloadKeys()).toBe(true);
  const { account } = await web.signIn(BEN);
  await silently(worker, account); // asks for the key by itself
  expect(worker.events).toMatchObject([{ type: "keys-reloaded", sealingKeyId: "2026-12" }]);
});

describe("a vault that is down", () => {
  test("at the start: the process does not start, and says that it may try again", async () => {
    vault.fault = { kind: "down" };
    await expect(start()).rejects.toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", retryable: true });
    vault.fault = undefined;
    await expect(start()).resolves.toBeDefined();
  });

  test("within the grace is not noticed; after it calls fail for now, and nobody is signed out", async () => {
    const web = await start();
    const { account } = await web.signIn(ADA);
    vault.fault = { kind: "down" };
    web.clock.advance(HOUR);
    expect(await web.cache.reloadKeys()).toBe(false);
    expect(web.events).toMatchObject([
      { type: "keys-in-grace", error: { code: "ERR_KEYS_UNAVAILABLE" }, remainingMs: expect.any(Number) },
    ]);
    await silently(web, account);

    web.clock.advance(HOUR);
    await expect(web.cache.reloadKeys()).rejects.toMatchObject({ code: "ERR_KEYS_UNAVAILABLE" });
    const before = await world.store.activity.list({ limit: 9 });
    await expect(silently(web, account)).rejects.toMatchObject({ code: "ERR_KEY_UNKNOWN", retryable: true });
    expect(await world.store.activity.list({ limit: 9 })).toEqual(before);

    vault.fault = undefined;
    await web.cache.reloadKeys();
    await silently(web, account);
  });

  test("after the grace: who signs in has a token, and it is stored when the keys are back", async () => {
    const web = await start();
    vault.fault = { kind: "down" };
    web.clock.advance(2 * HOUR);
    await expect(web.cache.reloadKeys()).rejects.toMatchObject({ code: "ERR_KEYS_UNAVAILABLE" });
    const signedIn = await web.signIn(ADA);
    expect(signedIn.accessToken).toBeDefined();
    expect(signedIn.metadata.saved).toBe(false);
    vault.fault = undefined;
    await web.cache.reloadKeys();
    await expect.poll(() => web.cache.unsaved().entries).toBe(0);
    expect((await silently(await start(), signedIn.account)).accessToken).toBe(signedIn.accessToken);
  });
});

test("who takes the right to unwrap away locks the store, until it is given back", async () => {
  const web = await start();
  const { account } = await web.signIn(ADA);
  vault.permissions.delete("unwrapKey");
  web.clock.advance(HOUR);
  await expect(web.cache.reloadKeys()).rejects.toMatchObject({ code: "ERR_KEYS_REFUSED", retryable: false });
  await expect(silently(web, account)).rejects.toMatchObject({ code: "ERR_KEY_UNKNOWN", retryable: true });
  await expect(start()).rejects.toMatchObject({ code: "ERR_KEYS_REFUSED" });
  vault.permissions.add("unwrapKey");
  await silently(web, account); // asks for the key by itself
});
