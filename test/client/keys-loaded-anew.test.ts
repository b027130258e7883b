/** A cache whose keys change while it runs, over a store that it shares with others. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";

import {
  createKeyRing,
  reloadingKeys,
  reloadingKeysFromFile,
  OptionsError,
  type KeyRing,
  type StoredActivity,
  type TokenCacheOptions,
} from "../../src/index.ts";
import { createSignIn } from "../../src/web/sign-in.ts";
import {
  ADA,
  BEN,
  createWorld,
  READ,
  REDIRECT_URI,
  steeredRuntime,
  type Node,
  type World,
} from "../support/world.ts";

const key = (id: string): { id: string; key: Uint8Array } => ({
  id,
  key: new Uint8Array(32).fill(id.charCodeAt(0)),
});
const ring = (sealing: string, ...opening: string[]): KeyRing =>
  createKeyRing({ sealing: key(sealing), opening: opening.map(key) });
const text = (...ids: string[]): string =>
  ids.map((id) => `${id}:${Buffer.from(key(id).key).toString("base64")}`).join("\n");

const folder = mkdtempSync(join(tmpdir(), "tokenkeep-keys-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let world: World;
beforeEach(() => {
  world = createWorld();
});

/** A process whose keys are what `current` says at each load. */
async function follower(current: () => KeyRing, options: Partial<TokenCacheOptions<never>> = {}) {
  let loads = 0;
  const load = (): KeyRing => {
    loads += 1;
    return current();
  };
  const node = world.node({ keys: await reloadingKeys({ load }), ...options });
  loads = 0;
  return Object.assign(node, { loads: () => loads });
}

const silently = ({ client }: Node, account: unknown) =>
  client.acquireTokenSilent({ account: account as never, scopes: READ });

describe("a record under a key that this process does not have yet", () => {
  test("is read once the keys have been asked for, and nobody notices", async () => {
    const { account, accessToken } = await world.node({ keys: ring("b", "a") }).signIn(ADA);
    let current = ring("a");
    const late = await follower(() => current);
    current = ring("b", "a");
    expect(await silently(late, account)).toMatchObject({ accessToken });
    expect(late.loads()).toBe(1);
    expect(late.events.map(({ type }) => type)).toEqual(["keys-reloaded"]);
  });

  test("is asked for by all who wait for it with one load", async () => {
    const { account } = await world.node({ keys: ring("b", "a") }).signIn(ADA);
    const { account: other } = await world.node({ keys: ring("b", "a") }).signIn(BEN);
    let current = ring("a");
    const late = await follower(() => current);
    current = ring("b", "a");
    await Promise.all(Array.from({ length: 50 }, (_, index) => silently(late, index % 2 ? account : other)));
    expect(late.loads()).toBe(1);
  });

  test("that it does not get: not now, nobody is challenged, nothing is touched", async () => {
    const { account } = await world.node({ keys: ring("b", "a") }).signIn(ADA);
    const [stored] = (await world.store.admin.keys({ prefix: "tokenkeep:user:", limit: 9 })).keys;
    const before = await world.store.get(stored!);
    const rows = await world.store.activity.list({ limit: 9 });
    const late = await follower(() => ring("a"));
    await expect(silently(late, account)).rejects.toMatchObject({ code: "ERR_KEY_UNKNOWN", retryable: true });
    expect(late.events).toMatchObject([{ type: "record-unreadable", reason: "unknown-key" }]);
    expect(await world.store.get(stored!)).toEqual(before);
    expect(await world.store.activity.list({ limit: 9 })).toEqual(rows);
  });

  test("is no reason to tidy away a row that its sign-in never confirmed", async () => {
    const runtime = steeredRuntime();
    const early = world.node({ keys: ring("b", "a"), runtime });
    const { account } = await early.signIn(ADA);
    const [{ row, revision }] = (await world.store.activity.list({ limit: 9 })).rows as [StoredActivity];
    await world.store.activity.put({ ...row, confirmed: false }, { revision: "cut", ifRevision: revision });
    runtime.advance(2 * 3_600_000);
    const late = world.node({ keys: ring("a"), runtime });
    expect(await late.cache.purgeExpired()).toEqual({ records: 0, accounts: 0 });
    const listed = [];
    for await (const { homeAccountId } of late.cache.accounts()) listed.push(homeAccountId);
    expect(listed).toEqual([account!.homeAccountId]);
    // Whoever can read that the tokens are gone tidies it away.
    await early.client.removeAccount(account!);
    await world.store.activity.put({ ...row, confirmed: false }, { revision: "cut", ifRevision: null });
    expect(await world.node({ keys: ring("b", "a"), runtime }).cache.purgeExpired()).toMatchObject({
      accounts: 1,
    });
  });

  test("that the provider is too slow with: not now, within the time a reading may take", async () => {
    const { account } = await world.node({ keys: ring("b", "a") }).signIn(ADA);
    let hang = false;
    const load = () => (hang ? new Promise<KeyRing>(() => undefined) : ring("a"));
    const late = world.node({ keys: await reloadingKeys({ load }), storeBudgetMs: { read: 50 } });
    hang = true;
    await expect(silently(late, account)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(STORE_UNAVAILABLE|KEY_UNKNOWN)$/),
      retryable: true,
    });
  });

  test("is written over by a merge once the keys are there: a conflict asks too", async () => {
    let current = ring("a");
    const late = await follower(() => current);
    const { account } = await late.signIn(ADA);
    // Somebody with the newer keys writes; ours has a copy in memory, and renews from that.
    await world.node({ keys: ring("b", "a") }).client.acquireTokenSilent({
      account: account!,
      scopes: READ,
      forceRefresh: true,
    });
    current = ring("b", "a");
    const renewed = await late.client.acquireTokenSilent({
      account: account!,
      scopes: READ,
      forceRefresh: true,
    });
    expect(renewed.metadata.saved).toBe(true);
    expect(late.loads()).toBe(1);
  });
});

test("what cannot be sealed, because the sealing key was taken away, waits and is stored when it is back", async () => {
  const kept = ring("a");
  let isThere = true;
  const keys: KeyRing = { ...kept, find: (id) => (isThere ? kept.find(id) : undefined) };
  const node = world.node({ keys });
  isThere = false;
  const { account, metadata } = await node.signIn(ADA);
  expect(metadata.saved).toBe(false);
  expect(node.cache.unsaved()).toMatchObject({ entries: 1 });
  // In this process the user is signed in all the same.
  await silently(node, account);
  isThere = true;
  expect(await node.cache.close()).toEqual({ lost: 0 });
  await expect(silently(world.node({ keys: ring("a") }), account)).resolves.toBeDefined();
});

test("a hit in memory asks for no key", async () => {
  const node = await follower(() => ring("a"));
  const { account } = await node.signIn(ADA);
  for (let index = 0; index < 100; index += 1) await silently(node, account);
  expect(node.loads()).toBe(0);
});

test("a row's properties and a sign-in under way ask for their key too", async () => {
  const properties = { activity: { onBeforeWrite: () => ({ plan: "gold" }) } } as never;
  const early = world.node({ keys: ring("b", "a"), ...(properties as object) });
  await early.signIn(ADA);
  let current = ring("a");
  const late = await follower(() => current);
  current = ring("b", "a");
  const accounts = [];
  for await (const account of late.cache.accounts()) accounts.push(account.properties);
  expect(accounts).toEqual([{ plan: "gold" }]);

  current = ring("a");
  const second = await follower(() => current);
  current = ring("b", "a");
  const begun = await createSignIn({
    client: early.client,
    redirectUri: REDIRECT_URI,
    scopes: READ,
  }).beginSignIn();
  const { params } = await world.authority.authorize(begun.url, { user: ADA });
  const url = `${REDIRECT_URI}?${new URLSearchParams(params).toString()}`;
  const done = await createSignIn({
    client: second.client,
    redirectUri: REDIRECT_URI,
    scopes: READ,
  }).completeSignIn({ url, flow: begun.flow });
  expect(done.account.username).toBe(ADA);
});

test.each(["removeAccount", "signOutEverywhere"] as const)(
  "%s at a process without the key waits, ends the account here at once, and everywhere once the key is there",
  async (signOut) => {
    const early = world.node({ keys: ring("b", "a"), coherenceBoundMs: 50 });
    const { account } = await early.signIn(ADA);
    let current = ring("a");
    const late = await follower(() => current);
    expect(await late.client[signOut](account!)).toEqual({ status: "pending", durable: false });
    await expect(silently(late, account)).rejects.toMatchObject({ errorCode: "no_tokens_found" });
    current = ring("b", "a");
    expect(await late.cache.reloadKeys()).toBe(true);
    await expect.poll(() => late.cache.unsaved().entries).toBe(0);
    await expect(silently(world.node({ keys: ring("b", "a") }), account)).rejects.toMatchObject({
      errorCode: "no_tokens_found",
    });
  },
);

test("a provider that hangs holds up no sign-in and no listing longer than a reading may take", async () => {
  const activity = { onBeforeWrite: () => ({ plan: "gold" }) } as never;
  const early = world.node({ keys: ring("b", "a"), activity });
  await early.signIn(ADA);
  let hang = false;
  const load = () => (hang ? new Promise<KeyRing>(() => undefined) : ring("a"));
  const late = world.node({ keys: await reloadingKeys({ load }), storeBudgetMs: { read: 50 }, activity });
  hang = true;
  const signIn = ({ client }: Node) => createSignIn({ client, redirectUri: REDIRECT_URI, scopes: READ });
  const begun = await signIn(early).beginSignIn();
  const { params } = await world.authority.authorize(begun.url, { user: ADA });
  const url = `${REDIRECT_URI}?${new URLSearchParams(params).toString()}`;
  await expect(signIn(late).completeSignIn({ url, flow: begun.flow })).rejects.toMatchObject({
    code: "ERR_KEY_UNKNOWN",
    retryable: true,
  });
  expect((await late.signIn(ADA)).metadata.saved).toBe(false);
  const listed = [];
  for await (const account of late.cache.accounts()) listed.push(account.properties);
  expect(listed).toEqual([undefined]);
});

describe("a rotation in a file", () => {
  test("takes effect at reloadKeys(); a file that is wrong changes nothing", async () => {
    const path = join(folder, "keys");
    const write = (content: string): void => {
      writeFileSync(`${path}.new`, content, { mode: 0o600 });
      renameSync(`${path}.new`, path);
    };
    write(text("a"));
    const node = world.node({ keys: reloadingKeysFromFile(path) });
    expect(await node.cache.reloadKeys()).toBe(false);
    write(text("a", "b"));
    expect(await node.cache.reloadKeys()).toBe(true);
    write("rubbish");
    await expect(node.cache.reloadKeys()).rejects.toThrow(OptionsError);
    write(text("b", "a"));
    expect(await node.cache.reloadKeys()).toBe(true);
    expect(node.events.map(({ type }) => type)).toEqual([
      "keys-reloaded",
      "keys-not-reloaded",
      "keys-reloaded",
    ]);
    const { account } = await node.signIn(ADA);
    await expect(silently(world.node({ keys: ring("b") }), account)).resolves.toBeDefined();
  });

  test("is for caches with such keys; others have nothing to load", async () => {
    expect(await world.node({ keys: ring("a") }).cache.reloadKeys()).toBe(false);
  });

  test("ends with the cache", async () => {
    const node = await follower(() => ring("a"));
    await node.cache.close();
    await expect(node.cache.reloadKeys()).rejects.toMatchObject({ code: "ERR_CLOSED" });
  });
});

test("keys that somebody forgot to await are no keys", () => {
  const keys = reloadingKeys({ load: () => ring("a") }) as never;
  expect(() => world.node({ keys })).toThrow(/await reloadingKeys/);
});
