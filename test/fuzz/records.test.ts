/** Records that are sealed with the right key for the right place, and hold anything at all. */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { CacheBlob } from "../../src/blob/entities.ts";
import type { AccountRef } from "../../src/index.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { createSignIn } from "../../src/web/sign-in.ts";
import { claimsOf } from "../support/network.ts";
import { ADA, BEN, createWorld, READ, REDIRECT_URI, type Node, type World } from "../support/world.ts";
import { arbitraryMutations, mutatedJson } from "./mutations.ts";
import { expectNoSecret, guardPrototypes, isNotNow, settled } from "./promises.ts";
import { bytesAt, keyOf, opened, place, sealed, userKey } from "./records.ts";

guardPrototypes();

let world: World;
let ada: AccountRef;
/** The record's place, and what it really holds. */
let key: string;
let layout: string;

beforeAll(async () => {
  world = createWorld();
  ada = (await world.node().signIn(ADA)).account!;
  await world.node().signIn(BEN);
  key = await userKey(world, ADA);
  layout = opened(key, await bytesAt(world.store, key));
});

const silent = (node: Node) => settled(node.client.acquireTokenSilent({ account: ada, scopes: READ }));
const isUnreadable = (node: Node): boolean => node.events.some(({ type }) => type === "record-unreadable");

/** A record without the rest of what MSAL keeps: each of its own fields is hit often. */
const sparse = JSON.stringify({
  f: 1,
  t: "tokens",
  i: "life",
  s: 4,
  p: { print: { grant: 1, generation: 2 } },
  b: {},
});
const marker = JSON.stringify({ f: 1, t: "removed", i: "life", s: 4, g: 1, at: 1_700_000_000_000 });

const anyLayout = fc.oneof(
  { weight: 8, arbitrary: arbitraryMutations(2).map((mutations) => mutatedJson(layout, mutations)) },
  { weight: 3, arbitrary: arbitraryMutations().map((mutations) => mutatedJson(sparse, mutations)) },
  { weight: 3, arbitrary: arbitraryMutations().map((mutations) => mutatedJson(marker, mutations)) },
  { weight: 1, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.string({ unit: "binary" }) },
);

describe("a user's record", () => {
  test("is theirs, a miss or not now, and is kept where it cannot be read", async () => {
    const bens = await bytesAt(world.store, await userKey(world, BEN));
    let served = 0;
    await fc.assert(
      fc.asyncProperty(anyLayout, async (text) => {
        const bytes = sealed(key, text);
        await place(world.store, key, bytes);
        const node = world.node();
        const outcome = await silent(node);
        if ("result" in outcome) {
          const { account, accessToken } = outcome.result;
          served += 1;
          expect([ada.homeAccountId, undefined]).toContain(account?.homeAccountId);
          if (world.authority.issued.has(accessToken))
            expect(claimsOf(accessToken)["preferred_username"]).toBe(ADA);
        } else expectNoSecret(outcome.error, world.authority.issued);
        expectNoSecret(node.events, world.authority.issued);
        if (isUnreadable(node)) expect(await bytesAt(world.store, key)).toEqual(bytes);
        expect(await bytesAt(world.store, await userKey(world, BEN))).toEqual(bens);
      }),
      { numRuns: 600 },
    );
    expect(served).toBeGreaterThan(20);
  });

  test("with a refresh token that MSAL cannot send is a miss", async () => {
    const { b: blob, ...rest } = JSON.parse(layout) as { b: CacheBlob };
    const [name, refreshToken] = Object.entries(blob.RefreshToken)[0]!;
    const RefreshToken = { [name]: { ...refreshToken, secret: "\ud800" } };
    const text = JSON.stringify({ ...rest, b: { ...blob, AccessToken: {}, RefreshToken } });
    await place(world.store, key, sealed(key, text));
    const outcome = await silent(world.node());
    expect(outcome).toMatchObject({ error: { errorCode: "no_tokens_found" } });
  });

  test("is replaced by the next sign-in, unless a newer release has written it", async () => {
    await fc.assert(
      fc.asyncProperty(anyLayout, async (text) => {
        await place(world.store, key, sealed(key, text));
        const { metadata, accessToken } = await world.node().signIn(ADA);
        const node = world.node();
        const outcome = await silent(node);
        if (metadata.saved) expect(outcome).toMatchObject({ result: { accessToken } });
        else expect("error" in outcome && isNotNow(outcome.error)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test("can be signed out of, whatever it is", async () => {
    await fc.assert(
      fc.asyncProperty(anyLayout, async (text) => {
        await place(world.store, key, sealed(key, text));
        const { status } = await world.node().client.removeAccount(ada);
        const outcome = await silent(world.node());
        expect("error" in outcome).toBe(true);
        if (status === "done") expect(outcome).toMatchObject({ error: { errorCode: "no_tokens_found" } });
        else expect("error" in outcome && isNotNow(outcome.error)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

describe("the record of a user's partitions", () => {
  const account = JSON.stringify({
    f: 1,
    t: "account",
    s: 3,
    out: 1_700_000_000_000,
    parts: [{ id: "obo:client:issuer:hash", kind: "obo", expiresAtMs: 4_000_000_000_000 }],
  });
  const anyAccount = fc.oneof(
    arbitraryMutations().map((mutations) => mutatedJson(account, mutations)),
    fc.json(),
  );

  const { notes } = DEFAULT_CLIENT_IDS;

  /** An outcome, or not now; what it lists may be anything. */
  async function expectEnded(text: string): Promise<void> {
    const subject = [notes, world.authority.authorityHost, ada.homeAccountId].map(encodeURIComponent);
    const at = `tokenkeep:account:${subject.join(":")}`;
    await place(world.store, at, sealed(at, text));
    const node = world.node({}, { auth: world.authority.msalAuth("contoso", notes) });
    const outcome = await settled(node.client.signOutEverywhere(ada));
    if ("error" in outcome) expect(isUnreadable(node) && isNotNow(outcome.error)).toBe(true);
    expect(await keyOf(world, "account", notes)).toBe(at);
  }

  test("ends a sign-out everywhere with an outcome or a documented error", async () => {
    await fc.assert(fc.asyncProperty(anyAccount, expectEnded), { numRuns: 500 });
  });

  test.each(["%", "obo:%zz", ":", "::::", "user:a"])("that lists %s ends it as well", async (id) => {
    await expectEnded(account.replace("obo:client:issuer:hash", id));
  });
});

describe("the mark of a spent flow", () => {
  test("keeps the flow from being used again, whatever it holds", async () => {
    const node = world.node();
    const signIn = createSignIn({ client: node.client, redirectUri: REDIRECT_URI, scopes: READ });
    const { url, flow } = await signIn.beginSignIn();
    const { params } = await world.authority.authorize(url, { user: ADA });
    const answer = { flow, url: `${REDIRECT_URI}?${new URLSearchParams(params).toString()}` };
    await signIn.completeSignIn(answer);
    const mark = await keyOf(world, "flow");
    await fc.assert(
      fc.asyncProperty(anyLayout, async (text) => {
        await place(world.store, mark, sealed(mark, text));
        const outcome = await settled(signIn.completeSignIn(answer));
        if (!("error" in outcome)) throw new Error("signed in twice");
        if (!isNotNow(outcome.error)) expect(outcome.error).toMatchObject({ code: "ERR_FLOW_REPLAYED" });
      }),
      { numRuns: 200 },
    );
  });
});
