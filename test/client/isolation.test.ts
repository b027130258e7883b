import { expect, test } from "vitest";
import { userPartition } from "../../src/client/partitions.ts";
import { claimsOf } from "../support/network.ts";
import { createWorld, WEB } from "../support/world.ts";

const USERS = Array.from({ length: 40 }, (_, i) => ({
  username: `user${i}@contoso.example`,
  name: `User ${i}`,
  tenant: "contoso",
}));
const SCOPES = ["User.Read", "Mail.Read", "Files.Read", "Calendars.Read", "api://notes/read"];

test("200 parallel operations of 40 users on one client: nobody gets, or is filed with, another's token", async () => {
  const world = createWorld({ users: USERS });
  const node = world.node();
  const signedIn = await Promise.all(USERS.map(({ username }) => node.signIn(username, ["User.Read"])));
  const accounts = signedIn.map((result) => result.account!);
  const work = accounts.flatMap((account) => SCOPES.map((scope) => ({ account, scope })));
  expect(work).toHaveLength(200);
  const results = await Promise.all(
    work.map(({ account, scope }) => node.client.acquireTokenSilent({ account, scopes: [scope] })),
  );
  results.forEach((result, i) => {
    const { account } = work[i]!;
    expect(result.account?.homeAccountId).toBe(account.homeAccountId);
    expect(claimsOf(result.accessToken)["oid"]).toBe(account.localAccountId);
    expect(result.metadata.saved).toBe(true);
  });
  const { authority } = world.authority.msalAuth("contoso", WEB);
  for (const { homeAccountId } of accounts) {
    const partition = userPartition({ clientId: WEB, authority }, homeAccountId);
    const state = await world.node().cache.parts.partitions.read(partition);
    if (state.status !== "present") throw new Error(state.status);
    const { Account, IdToken, AccessToken, RefreshToken } = state.record.blob;
    const entries = [Account, IdToken, AccessToken, RefreshToken].flatMap((section) =>
      Object.values(section),
    );
    expect(new Set(entries.map((entry) => entry.home_account_id))).toEqual(new Set([homeAccountId]));
    expect(Object.keys(AccessToken)).toHaveLength(SCOPES.length);
  }
});

test("two applications in one store and namespace do not see each other's tokens", async () => {
  const world = createWorld();
  const [user] = world.authority.users;
  const web = world.node();
  const { account } = await web.signIn(user!.username);
  const api = world.node(
    {},
    { auth: world.authority.msalAuth("contoso", "a0000000-0000-4000-8000-00000000000b") },
  );
  await expect(
    api.client.acquireTokenSilent({ account: account!, scopes: ["api://notes/read"] }),
  ).rejects.toMatchObject({ errorCode: "no_tokens_found" });
});

test("two namespaces in one store do not see each other's tokens", async () => {
  const world = createWorld();
  const { account } = await world.node({ namespace: "one" }).signIn("ada@contoso.example");
  const other = world.node({ namespace: "two" });
  await expect(
    other.client.acquireTokenSilent({ account: account!, scopes: ["api://notes/read"] }),
  ).rejects.toMatchObject({ errorCode: "no_tokens_found" });
  expect(other.events.map((event) => event.type)).toEqual([]);
});
