/** 4a: what a process holds in memory for users who were there once. */
import { expect, test } from "vitest";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import { chaosStore } from "../support/chaos.ts";
import { createWorld, READ } from "../support/world.ts";
import { people } from "./setting.ts";
import { byRequest, ownersIn, sharedClient, vendorSignIn, vendorStore } from "./vendor.ts";

const USERS = people(12);

test("vendor: the memory of the client grows with everybody who signs in, and nothing bounds it", async () => {
  const authority = createLocalAuthority({ users: USERS });
  const requests = byRequest();
  const client = sharedClient(authority, vendorStore(), requests);
  const held: number[] = [];
  for (const { username } of USERS) {
    await requests.run(authority.homeAccountId(username), () => vendorSignIn(client, authority, username));
    held.push(new Set(ownersIn(client.getTokenCache().serialize())).size);
  }
  expect(held).toEqual(USERS.map((_, index) => index + 1));
});

test("tokenkeep: memory is bounded by bytes, and whoever has fallen out of it is read again", async () => {
  const world = createWorld({ users: USERS });
  const link = chaosStore(world.store);
  const node = world.node({ store: link, l1: { maxBytes: 20_000 } });
  const accounts = [];
  for (const { username } of USERS) accounts.push((await node.signIn(username)).account!);
  link.forgetCalls();
  const owners = new Set<string>();
  for (const account of accounts) {
    const { account: served } = await node.client.acquireTokenSilent({ account, scopes: READ });
    owners.add(served!.homeAccountId);
  }
  expect(owners.size).toBe(USERS.length);
  expect(link.count("get")).toBeGreaterThan(USERS.length / 2);
});
