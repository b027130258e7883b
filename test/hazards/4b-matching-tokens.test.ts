/** 4b: the blobs of two processes put together key by key, without MSAL's own rule. */
import { describe, expect, test } from "vitest";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import { opened, place, sealed } from "../fuzz/records.ts";
import { createWorld } from "../support/world.ts";
import { outcomesOf } from "./setting.ts";
import { perRequest, vendorStore } from "./vendor.ts";

const APP = { scopes: ["api://tasks/.default"] };
type Tokens = Record<string, { target: string; credential_type: string }>;

/** As if another process had asked for one scope more: another key, and both answer a search for the first. */
function withRival(tokens: Tokens): Tokens {
  const [[key, token] = ["", { target: "", credential_type: "" }]] = Object.entries(tokens);
  const target = `${token.target} api://tasks/more`;
  return { ...tokens, [key.replace(token.target.toLowerCase(), target)]: { ...token, target } };
}

describe("two application tokens that answer the same request", () => {
  test("vendor: the request fails from then on", async () => {
    const authority = createLocalAuthority();
    const store = vendorStore();
    await perRequest(authority, store, "app").acquireTokenByClientCredential({ ...APP });
    const [[key, text] = ["", "{}"]] = store.values;
    const blob = JSON.parse(text) as { AccessToken: Tokens };
    store.values.set(key, JSON.stringify({ ...blob, AccessToken: withRival(blob.AccessToken) }));
    const calls = [1, 2, 3].map(() =>
      perRequest(authority, store, key).acquireTokenByClientCredential({ ...APP }),
    );
    expect(await outcomesOf(calls)).toEqual({ multiple_matching_tokens: 3 });
  });

  test("tokenkeep: one of them is served and the next write leaves one", async () => {
    const world = createWorld();
    await world.node().client.acquireTokenByClientCredential({ ...APP });
    const { keys } = await world.store.admin.keys({ prefix: "tokenkeep:app:", limit: 10 });
    const key = keys[0]!;
    const stored = await world.store.get(key);
    if (typeof stored !== "object") throw new Error("no record");
    const layout = JSON.parse(opened(key, stored.bytes)) as { b: { AccessToken: Tokens } };
    layout.b.AccessToken = withRival(layout.b.AccessToken);
    expect(Object.keys(layout.b.AccessToken)).toHaveLength(2);
    await place(world.store, key, sealed(key, JSON.stringify(layout)));
    const node = world.node();
    const calls = [1, 2, 3].map(() => node.client.acquireTokenByClientCredential({ ...APP }));
    expect(await outcomesOf(calls)).toEqual({ ok: 3 });
    const renewed = node.client.acquireTokenByClientCredential({ ...APP, skipCache: true });
    expect(await outcomesOf([renewed])).toEqual({ ok: 1 });
    const after = await world.store.get(key);
    if (typeof after !== "object") throw new Error("no record");
    const mended = JSON.parse(opened(key, after.bytes)) as { b: { AccessToken: Tokens } };
    expect(Object.keys(mended.b.AccessToken)).toHaveLength(1);
  });
});
