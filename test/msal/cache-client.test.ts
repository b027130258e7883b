import { type ConfidentialClientApplication, type AccountInfo, type ICacheClient } from "@azure/msal-node";
import { describe, expect, test } from "vitest";
import { userPartition } from "../../src/client/partitions.ts";
import { createTokenCache } from "../../src/token-cache.ts";
import { ownersOf, storedFor, withExpiringTokens } from "../hazards/setting.ts";
import { perRequest, seed, sharedClient, vendorSignIn, vendorStore } from "../hazards/vendor.ts";
import { chaosStore } from "../support/chaos.ts";
import { collect } from "../support/collect.ts";
import { ADA, BEN, createWorld, READ, WEB, type Node, type World } from "../support/world.ts";

const TASKS = ["api://tasks/read"];

function ownerOf(world: World): { clientId: string; authority: string } {
  return { clientId: WEB, authority: world.authority.msalAuth("contoso", WEB).authority };
}

function doorOf(world: World, node: Node, migrateFrom?: ICacheClient) {
  return node.cache.cacheClient({
    partition: (key) => (key === "" ? undefined : userPartition(ownerOf(world), key)),
    ...(migrateFrom && { migrateFrom }),
  });
}

/** One request of one user: a client of its own, as the vendor recommends. */
function request(world: World, door: ICacheClient, account: AccountInfo): ConfidentialClientApplication {
  return perRequest(world.authority, door, account.homeAccountId);
}

const silent = async (client: ConfidentialClientApplication, account: AccountInfo, scopes = READ) =>
  (await client.acquireTokenSilent({ account, scopes })).accessToken;

describe("a cache client behind the vendor's plugin", () => {
  test("keeps tokens where tokenkeep's own client finds them, and the other way round", async () => {
    const world = createWorld();
    const node = world.node();
    const door = doorOf(world, node);
    const account = await seed(world.authority, door, ADA);
    const ours = await world.node().client.acquireTokenSilent({ account, scopes: READ });
    expect(ours.metadata.tokenSource).toBe("cache");
    const added = await world.node().client.acquireTokenSilent({ account, scopes: TASKS });
    const other = doorOf(world, world.node());
    expect(await silent(request(world, other, account), account, TASKS)).toBe(added.accessToken);
    expect(world.authority.count({ grant: "refresh_token" })).toBe(1);
  });

  test("loses nothing that many processes add at once", async () => {
    const world = createWorld();
    const account = await seed(world.authority, doorOf(world, world.node()), ADA);
    const resources = [READ, TASKS, ["User.Read"], ["Mail.Read"]];
    await Promise.all(
      resources.map((scopes) =>
        silent(request(world, doorOf(world, world.node()), account), account, scopes),
      ),
    );
    const asked = world.authority.count({ grant: "refresh_token" });
    for (const scopes of resources) {
      await silent(request(world, doorOf(world, world.node()), account), account, scopes);
    }
    expect(world.authority.count({ grant: "refresh_token" })).toBe(asked);
  });

  test("does not let a refresh in flight undo a sign-out", async () => {
    const world = createWorld();
    const node = world.node();
    const door = doorOf(world, node);
    const account = await withExpiringTokens(world.authority, () => seed(world.authority, door, ADA));
    world.authority.pause();
    const refresh = silent(request(world, door, account), account);
    await world.authority.whenHeld(1);
    expect(await door.removeAccount(account.homeAccountId)).toEqual({ status: "done", durable: true });
    world.authority.resume();
    await refresh;
    expect(await storedFor(world, ADA)).toBeUndefined();
    await expect(silent(request(world, door, account), account)).rejects.toMatchObject({
      errorCode: "no_tokens_found",
    });
    expect(node.events).toContainEqual(
      expect.objectContaining({ type: "write-superseded", reason: "removed" }),
    );
  });

  test("lets the user sign in again after a sign-out", async () => {
    const world = createWorld();
    const door = doorOf(world, world.node());
    const account = await seed(world.authority, door, ADA);
    await door.removeAccount(account.homeAccountId);
    await seed(world.authority, door, ADA);
    await silent(request(world, doorOf(world, world.node()), account), account);
  });

  test("adds a second sign-in to what the user has", async () => {
    const world = createWorld();
    const door = doorOf(world, world.node());
    const account = await seed(world.authority, door, ADA, TASKS);
    // As in the vendor's samples: the session does not know the account yet, so nothing is loaded.
    await vendorSignIn(perRequest(world.authority, door, ""), world.authority, ADA, READ);
    const both = await storedFor(world, ADA);
    expect(Object.keys(both?.AccessToken ?? {})).toHaveLength(2);
    await silent(request(world, door, account), account, TASKS);
    expect(world.authority.count({ grant: "refresh_token" })).toBe(0);
  });

  test("keeps one user's partition free of others, also where one client serves them all", async () => {
    const world = createWorld();
    const node = world.node();
    const door = doorOf(world, node);
    const client = sharedClient(world.authority, door, {
      getKey: () => Promise.resolve(""),
      extractKey: ({ homeAccountId }) => Promise.resolve(homeAccountId),
    });
    for (const user of [ADA, BEN]) await vendorSignIn(client, world.authority, user);
    expect(ownersOf(await storedFor(world, ADA))).toEqual(new Set([world.authority.homeAccountId(ADA)]));
    expect(node.events).toContainEqual(expect.objectContaining({ type: "entries-refused" }));
  });

  test("survives a reading that failed: what is written next takes nothing away", async () => {
    const world = createWorld();
    const link = chaosStore(world.store);
    const door = doorOf(world, world.node({ store: link, l1: false }));
    const account = await seed(world.authority, door, ADA, TASKS);
    const before = await storedFor(world, ADA);
    link.fail("get", { times: 1 });
    await silent(request(world, door, account), account, READ).catch(() => undefined);
    const after = await storedFor(world, ADA);
    expect(Object.keys(after?.AccessToken ?? {})).toEqual(
      expect.arrayContaining(Object.keys(before?.AccessToken ?? {})),
    );
    expect(Object.keys(after?.RefreshToken ?? {})).toHaveLength(1);
  });

  test("does not put an older refresh token back when it writes late", async () => {
    const world = createWorld();
    const node = world.node();
    const door = doorOf(world, node);
    const account = await seed(world.authority, door, ADA);
    const text = await door.get(account.homeAccountId);
    await node.client.acquireTokenSilent({ account, scopes: READ, forceRefresh: true });
    const renewed = await storedFor(world, ADA);
    await door.set(account.homeAccountId, text);
    expect((await storedFor(world, ADA))?.RefreshToken).toEqual(renewed?.RefreshToken);
  });

  test("forgotten readings are merged two ways, and still lose nothing", async () => {
    const world = createWorld();
    const node = world.node();
    const door = doorOf(world, node);
    const account = await seed(world.authority, door, ADA);
    const text = await door.get(account.homeAccountId);
    await node.client.acquireTokenSilent({ account, scopes: TASKS });
    // Another process never handed this reading out.
    await doorOf(world, world.node()).set(account.homeAccountId, text);
    expect(Object.keys((await storedFor(world, ADA))?.AccessToken ?? {})).toHaveLength(2);
  });
});

describe("what another cache has kept", () => {
  test("is taken over when it is first asked for, and the user is listed for workers", async () => {
    const world = createWorld();
    const older = vendorStore();
    const account = await seed(world.authority, older, ADA);
    const node = world.node();
    const door = doorOf(world, node, older);
    await silent(request(world, door, account), account);
    expect(world.authority.count({ grant: "refresh_token" })).toBe(0);
    const [listed] = await collect(node.cache.accounts());
    expect(listed).toMatchObject({ homeAccountId: account.homeAccountId, username: ADA, status: "ok" });
    expect(listed?.lastSignInAt).toBeTypeOf("number");
    older.getError = new Error("gone");
    await silent(request(world, doorOf(world, world.node(), older), account), account);
  });

  test("does not replace what the cache has, nor undo a sign-out, nor bring others in", async () => {
    const world = createWorld();
    const older = vendorStore();
    const { homeAccountId } = await seed(world.authority, older, ADA);
    await seed(world.authority, older, BEN);
    const json = older.values.get(homeAccountId)!;
    const node = world.node();
    const partition = userPartition(ownerOf(world), homeAccountId);
    const signedIn = await node.signIn(ADA);
    expect(await node.cache.importBlob(partition, json)).toMatchObject({ taken: 0, refused: 0 });
    const hit = await world.node().client.acquireTokenSilent({ account: signedIn.account!, scopes: READ });
    expect(hit.accessToken).toBe(signedIn.accessToken);
    const foreign = older.values.get(world.authority.homeAccountId(BEN))!;
    expect(await node.cache.importBlob(partition, foreign)).toMatchObject({ taken: 0, left: 0 });
    await node.client.removeAccount(signedIn.account!);
    expect(await node.cache.importBlob(partition, json)).toMatchObject({ taken: 0 });
    expect(await storedFor(world, ADA)).toBeUndefined();
  });

  test("that is no cache is refused without a word of it", async () => {
    const { cache } = createWorld().node();
    const partition = userPartition({ clientId: WEB }, "uid.utid");
    for (const text of ["secret-token", "42", "null", '{"AccessToken":{"k":null}}', '{"Account":5}']) {
      const importing = cache.importBlob(partition, text);
      await expect(importing).rejects.toMatchObject({ code: "ERR_BLOB_INVALID" });
      await expect(importing).rejects.not.toThrow(/secret-token/);
    }
  });
});

const nobody = (): undefined => undefined;

test.each([
  ["partition", {} as object],
  ["migrateFrom", { partition: nobody, migrateFrom: {} }],
  ["migrateForm", { partition: nobody, migrateForm: {} }],
])("cacheClient names a wrong option: %s", (option, options) => {
  expect(() => createTokenCache().cacheClient(options as never)).toThrow(
    expect.objectContaining({ code: "ERR_OPTION_INVALID", option }),
  );
});

test("a partition function of another make is refused at the call", async () => {
  const door = createTokenCache().cacheClient({ partition: (key) => ({ id: key }) as never });
  await expect(door.get("uid.utid")).rejects.toMatchObject({ option: "partition" });
});
