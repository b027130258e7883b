/** 4d: what lies in the store is no cache. */
import { describe, expect, test } from "vitest";
import { createSealer } from "../../src/envelope/sealer.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import { ADA, createNode, READ, testKeys, type Node } from "../support/world.ts";
import { faultyStore } from "./faulty-store.ts";
import { perRequest, seed, vendorSignIn, vendorStore } from "./vendor.ts";

describe("something else lies under a user's key", () => {
  test.for([
    ["invalid JSON", "{ broken", "SyntaxError"],
    ["a null entity", '{"AccessToken":{"a":null}}', "TypeError"],
  ] as const)(
    "vendor: %s fails silent calls, and a sign-in after its code was redeemed",
    async ([, text, name]) => {
      const authority = createLocalAuthority();
      const store = vendorStore();
      const account = await seed(authority, store, ADA);
      store.values.set(account.homeAccountId, text);
      const client = perRequest(authority, store, account.homeAccountId);
      await expect(client.acquireTokenSilent({ account, scopes: READ })).rejects.toThrow(
        expect.objectContaining({ name }),
      );
      await expect(vendorSignIn(client, authority, ADA)).rejects.toThrow(expect.objectContaining({ name }));
      expect(authority.count({ grant: "authorization_code", outcome: "ok" })).toBe(2);
    },
  );

  test("vendor: invalid JSON stays until somebody deletes it by hand", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const { homeAccountId } = await seed(authority, store, ADA);
    store.values.set(homeAccountId, "{ broken");
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const signIn = vendorSignIn(perRequest(authority, store, homeAccountId), authority, ADA);
      await expect(signIn).rejects.toThrow(SyntaxError);
    }
    expect(store.values.get(homeAccountId)).toBe("{ broken");
  });

  test("vendor: 42 is taken for an empty cache, without a word", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    const account = await seed(authority, store, ADA);
    store.values.set(account.homeAccountId, "42");
    const client = perRequest(authority, store, account.homeAccountId);
    const call = client.acquireTokenSilent({ account, scopes: READ });
    await expect(call).rejects.toMatchObject({ errorCode: "no_tokens_found" });
  });

  const layout = (blob: unknown): string =>
    JSON.stringify({ f: 1, t: "tokens", i: "i", s: 1, p: {}, b: blob });

  test.for([
    ["invalid JSON", "{ broken", "plain"],
    ["42", "42", "plain"],
    ["a null entity", '{"AccessToken":{"a":null}}', "plain"],
    ["sealed invalid JSON", "{ broken", "sealed"],
    ["sealed 42", "42", "sealed"],
    ["a sealed record that is 42", layout(42), "sealed"],
    ["a sealed record with a null entity", layout({ AccessToken: { a: null } }), "sealed"],
  ] as const)(
    "tokenkeep: %s is a miss with an event, and the next sign-in mends it",
    async ([, text, how]) => {
      const authority = createLocalAuthority();
      const store = faultyStore();
      const account = (await createNode(authority, { store }).signIn(ADA)).account!;
      const key = await store.keyOf("tokenkeep:user:");
      await store.overwrite(key, how === "sealed" ? sealed(key, text) : Buffer.from(text));
      const node = createNode(authority, { store });
      const call = node.client.acquireTokenSilent({ account, scopes: READ });
      await expect(call).rejects.toMatchObject({ errorCode: "no_tokens_found" });
      expect(unreadable(node)).toContain("refused");
      expect((await node.signIn(ADA)).metadata.saved).toBe(true);
      const other = createNode(authority, { store });
      const hit = await other.client.acquireTokenSilent({ account, scopes: READ });
      expect(hit.metadata.cacheLevel).toBe("L2");
      expect(unreadable(other)).toEqual([]);
    },
  );
});

function sealed(key: string, text: string): Uint8Array {
  const sealer = createSealer(testKeys(), systemRuntime);
  return sealer.seal(Buffer.from(text), { namespace: "tokenkeep", key, kind: "user" });
}

function unreadable(node: Node): string[] {
  return node.events.flatMap((event) => (event.type === "record-unreadable" ? [event.reason] : []));
}
