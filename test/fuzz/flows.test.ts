/** What a browser brings back from a sign-in: a sealed flow and an address, both in the user's hands. */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { createSealer } from "../../src/envelope/sealer.ts";
import { systemRuntime } from "../../src/runtime.ts";
import { localPath } from "../../src/web/local-path.ts";
import { createSignIn, type SignIn } from "../../src/web/sign-in.ts";
import { ADA, BEN, createWorld, READ, REDIRECT_URI, testKeys, WEB, type World } from "../support/world.ts";
import { arbitraryMutations, mutatedJson } from "./mutations.ts";
import { expectNoSecret, guardPrototypes, settled } from "./promises.ts";

guardPrototypes();

const REFUSALS = [
  "ERR_FLOW_INVALID",
  "ERR_FLOW_EXPIRED",
  "ERR_FLOW_REPLAYED",
  "ERR_STATE_MISMATCH",
  "ERR_AUTHORIZATION_FAILED",
  "ERR_KEY_UNKNOWN",
];

let world: World;
let signIn: SignIn;
/** Two sign-ins under way, of two people. */
let adas: { flow: string; url: string };
let bens: { flow: string; url: string };

beforeAll(async () => {
  world = createWorld();
  signIn = createSignIn({ client: world.node().client, redirectUri: REDIRECT_URI, scopes: READ });
  adas = await begin(ADA);
  bens = await begin(BEN);
});

async function begin(user: string) {
  const { url, flow } = await signIn.beginSignIn({ returnTo: "/me" });
  const { params } = await world.authority.authorize(url, { user });
  return { flow, url: `${REDIRECT_URI}?${new URLSearchParams(params).toString()}` };
}

/** Nobody is signed in by this, and no code is spent on it. */
async function expectRefused(request: { flow: unknown; url: unknown }): Promise<void> {
  const outcome = await settled(signIn.completeSignIn(request as typeof adas));
  if (!("error" in outcome)) throw new Error("signed in");
  expect(REFUSALS).toContain((outcome.error as { code?: unknown }).code);
  expectNoSecret(outcome.error, world.authority.issued);
  expect(world.authority.count({ grant: "authorization_code" })).toBe(0);
}

const anyText = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.base64String(), fc.webUrl());

describe("a flow", () => {
  test("with any one character changed is refused", async () => {
    const { flow, url } = adas;
    const bytes = Buffer.from(flow, "base64url");
    for (let index = 0; index < flow.length; index += 1) {
      const changed = `${flow.slice(0, index)}${flow[index] === "A" ? "B" : "A"}${flow.slice(index + 1)}`;
      // Some of the last character's bits mean nothing.
      if (!Buffer.from(changed, "base64url").equals(bytes)) await expectRefused({ flow: changed, url });
    }
  });

  test("cut at any length, or of any text or type, is refused", async () => {
    const { flow, url } = adas;
    for (let length = 0; length < flow.length - 1; length += 1) {
      await expectRefused({ flow: flow.slice(0, length), url });
    }
    await fc.assert(
      fc.asyncProperty(fc.oneof(anyText, fc.jsonValue(), fc.constant(undefined)), async (value) => {
        await expectRefused({ flow: value, url });
      }),
      { numRuns: 300 },
    );
  });

  test("of one sign-in with the answer of another is refused", async () => {
    await expectRefused({ flow: adas.flow, url: bens.url });
    await expectRefused({ flow: bens.flow, url: adas.url });
  });

  test("that is sealed with the right key and holds anything else is refused", async () => {
    const sealer = createSealer(testKeys(), systemRuntime);
    const context = { namespace: "tokenkeep", key: WEB, kind: "sign-in-flow" };
    const opened = sealer.open(Buffer.from(adas.flow, "base64url"), context);
    if (!opened.ok) throw new Error(opened.reason);
    const genuine = opened.plaintext.toString("utf8");
    const replaced = Object.keys(JSON.parse(genuine) as object).filter(
      // What only says where to go afterwards, or what to ask for, may be anything of its type.
      (name) => !["returnTo", "scopes", "nonce", "verifier", "id", "redirectUri"].includes(name),
    );
    const broken = fc.oneof(
      fc.json(),
      fc.string(),
      fc.constantFrom("", "null", "[]", "{}", "7"),
      fc
        .tuple(fc.constantFrom(...replaced), fc.constantFrom(null, {}, [], "", true))
        .map(([name, value]) => JSON.stringify({ ...(JSON.parse(genuine) as object), [name]: value })),
    );
    await fc.assert(
      fc.asyncProperty(broken, async (text) => {
        const flow = Buffer.from(sealer.seal(Buffer.from(text), context)).toString("base64url");
        await expectRefused({ flow, url: adas.url });
      }),
      { numRuns: 300 },
    );
  });

  test("that is sealed with the right key and of any make ends in a documented way", async () => {
    const own = createWorld();
    const other = createSignIn({ client: own.node().client, redirectUri: REDIRECT_URI, scopes: READ });
    const sealer = createSealer(testKeys(), systemRuntime);
    const context = { namespace: "tokenkeep", key: WEB, kind: "sign-in-flow" };
    await fc.assert(
      fc.asyncProperty(arbitraryMutations(2), async (mutations) => {
        const { url, flow } = await other.beginSignIn();
        const opened = sealer.open(Buffer.from(flow, "base64url"), context);
        if (!opened.ok) throw new Error(opened.reason);
        const text = mutatedJson(opened.plaintext.toString("utf8"), mutations);
        const bytes = sealer.seal(Buffer.from(text), context);
        const { params } = await own.authority.authorize(url, { user: ADA });
        const outcome = await settled(
          other.completeSignIn({
            flow: Buffer.from(bytes).toString("base64url"),
            url: `${REDIRECT_URI}?${new URLSearchParams(params).toString()}`,
          }),
        );
        if ("result" in outcome) expect(outcome.result.account.username).toBe(ADA);
        else expectNoSecret(outcome.error, own.authority.issued);
      }),
      { numRuns: 200 },
    );
  });
});

describe("an address", () => {
  const FIXED = ["state", "code", "error", "error_description", "iss", "session_state"];

  test("of any text or with any parameters is refused, unless it carries this flow's state", async () => {
    const parameters = fc.array(fc.tuple(fc.oneof(fc.constantFrom(...FIXED), fc.string()), anyText), {
      maxLength: 6,
    });
    const path = fc.constantFrom("", REDIRECT_URI, "/redirect", "/redirect/", "//redirect", "/other");
    const address = fc.oneof(
      fc.tuple(path, parameters).map(([base, given]) => `${base}?${new URLSearchParams(given).toString()}`),
      anyText,
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(address, fc.constantFrom(undefined, null, 7, {}, [])), async (url) => {
        await expectRefused({ flow: adas.flow, url });
      }),
      { numRuns: 500 },
    );
  });

  test("with the state spelled otherwise, twice, or with an error beside the code is refused", async () => {
    const { flow } = adas;
    const query = new URL(adas.url).searchParams;
    const state = query.get("state")!;
    for (const other of [state.toLowerCase(), `${state} `, `${state}=`, state.slice(0, -1), ""]) {
      const params = new URLSearchParams({ state: other, code: query.get("code")! });
      if (other !== state) await expectRefused({ flow, url: `/redirect?${params.toString()}` });
    }
    await expectRefused({ flow, url: `/redirect?state=x&${query.toString()}` });
    await expectRefused({ flow, url: `/redirect?${query.toString()}&error=access_denied` });
    await expectRefused({ flow, url: `/redirect?state=${state}` });
  });

  test("to come back to is a path of this very site, whatever it was", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          anyText.map((text) => `/${text}`),
        ),
        (text) => {
          const url = new URL(localPath(text), "https://app.example");
          expect(url.origin).toBe("https://app.example");
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

test("a flow that is spelled otherwise is the same flow, and is completed once", async () => {
  const { flow, url } = await begin(ADA);
  const done = await signIn.completeSignIn({ flow, url });
  expect(done.account.username).toBe(ADA);
  for (const spelled of [flow, `${flow}=`, `${flow}\n`, `!${flow}`, ` ${flow}`, flow.replaceAll("-", "+")]) {
    await expect(signIn.completeSignIn({ flow: spelled, url })).rejects.toMatchObject({
      code: "ERR_FLOW_REPLAYED",
    });
  }
});
