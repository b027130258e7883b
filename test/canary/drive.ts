/** A day of an application, with everything that can go wrong in it. What each step came to is its outcome. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Haystack } from "../../examples/demo/scan.ts";
import { userPartition } from "../../src/client/partitions.ts";
import { createKeyRing, parseKeys } from "../../src/envelope/key-ring.ts";
import { keysFromEnv } from "../../src/envelope/providers.ts";
import { randomId, systemRuntime } from "../../src/runtime.ts";
import { createTokenCache } from "../../src/token-cache.ts";
import { createSignIn } from "../../src/web/sign-in.ts";
import { collect } from "../support/collect.ts";
import { ADA, BEN, READ, REDIRECT_URI } from "../support/world.ts";
import { DORA, type Cast, type Taped } from "./cast.ts";
import { filesIn } from "./stores.ts";

const TASKS = ["api://tasks/read"];
const APP_SCOPES = ["api://notes/.default"];

type Account = Parameters<Taped["client"]["removeAccount"]>[0];
/** `ok`, or the code of the error. */
export type Outcomes = Record<string, string>;

export interface Driven {
  readonly outcomes: Outcomes;
  /** What lay in the folder for results that wait. */
  readonly spilled: Haystack[];
}

interface Drive extends Cast {
  /** Notes what a step came to; an error, like all errors, goes on the tape. */
  attempt<R>(step: string, work: () => Promise<R> | R): Promise<R | undefined>;
}

export async function drive(cast: Cast): Promise<Driven> {
  const outcomes: Outcomes = {};
  const drive: Drive = {
    ...cast,
    async attempt(step, work) {
      try {
        const result = await work();
        outcomes[step] = "ok";
        return result;
      } catch (error) {
        cast.tape.note("errors", error);
        const { code, errorCode } = error as { code?: string; errorCode?: string };
        outcomes[step] = errorCode ?? code ?? "an error without a code";
        return undefined;
      }
    },
  };
  const web = await cast.node("web");
  const account = await signingIn(drive, web);
  await tokens(drive, web, account);
  await otherDoors(drive, web);
  await providerFails(drive, web, account);
  const spilled = await storeFails(drive);
  await keysAndTampering(drive);
  await wrongOptions(drive);
  await endings(drive, web, account);
  cast.tape.note("what is printed of a cache and its keys", web.cache, web.client, cast.keys, web.events);
  return { outcomes, spilled };
}

async function signingIn({ attempt, authority, tape, ...cast }: Drive, web: Taped): Promise<Account> {
  const signIn = createSignIn({ client: web.client, redirectUri: REDIRECT_URI, scopes: READ });
  const { url, flow } = await signIn.beginSignIn({ returnTo: "/me" });
  const { redirectUri, params } = await authority.authorize(url, { user: ADA });
  const answer = `${redirectUri}?${new URLSearchParams(params).toString()}`;
  tape.note("what the browser has", url, flow);
  const signedIn = await attempt("sign-in", () => signIn.completeSignIn({ flow, url: answer }));
  const account = signedIn!.account;
  tape.note("what the browser has", JSON.stringify(account));
  await attempt("the same redirect again", () => signIn.completeSignIn({ flow, url: answer }));
  await attempt("a changed flow", () =>
    signIn.completeSignIn({ flow: `${flow.slice(0, -3)}AAA`, url: answer }),
  );
  const refusal = `${REDIRECT_URI}?error=access_denied&error_description=${params["code"]!.slice(0, 8)}&state=x`;
  await attempt("a refused redirect", () => signIn.completeSignIn({ flow, url: refusal }));
  await attempt("a code redeemed already", async () => {
    const code = params["code"]!;
    return (await cast.node("web")).client.acquireTokenByCode({
      code,
      scopes: READ,
      redirectUri: REDIRECT_URI,
    });
  });
  await attempt("a second user", () => web.signIn(BEN));
  await attempt("a third user", () => web.signIn(DORA));
  return account;
}

async function tokens({ attempt, tape, ...cast }: Drive, web: Taped, account: Account): Promise<void> {
  const from = (node: Taped, more = {}) => node.client.acquireTokenSilent({ account, scopes: READ, ...more });
  const shown = async <R extends { readonly metadata: object } | null>(work: Promise<R>): Promise<R> => {
    const result = await work;
    tape.note("metadata of results", result?.metadata);
    return result;
  };
  await attempt("a hit", () => shown(from(web)));
  await attempt("a second resource", () => shown(from(web, { scopes: TASKS })));
  await attempt("a refresh", () => shown(from(web, { forceRefresh: true })));
  const worker = await cast.node("worker", {
    activity: { onBeforeWrite: ({ reason }) => ({ plan: "gold", reason }) as never },
  });
  await attempt("a worker", () => shown(from(worker)));
  await attempt("a worker's refresh", () => shown(from(worker, { forceRefresh: true })));
  const [api, daemon] = [await cast.node("api"), await cast.node("daemon")];
  const oboAssertion = (await from(web)).accessToken;
  await attempt("on behalf of", () =>
    shown(api.client.acquireTokenOnBehalfOf({ oboAssertion, scopes: TASKS })),
  );
  await attempt("on behalf of, again", async () =>
    shown((await cast.node("api")).client.acquireTokenOnBehalfOf({ oboAssertion, scopes: TASKS })),
  );
  await attempt("on behalf of nobody", () =>
    api.client.acquireTokenOnBehalfOf({ oboAssertion: `${oboAssertion}x`, scopes: TASKS }),
  );
  await longRunning({ attempt, tape, ...cast }, api, oboAssertion);
  await attempt("the application itself", () =>
    shown(web.client.acquireTokenByClientCredential({ scopes: APP_SCOPES })),
  );
  await attempt("an application with a certificate", () =>
    shown(daemon.client.acquireTokenByClientCredential({ scopes: APP_SCOPES })),
  );
  await attempt("a password", () =>
    web.client.acquireTokenByUsernamePassword({
      scopes: READ,
      username: ADA,
      password: "correct horse battery",
    }),
  );
  await attempt("the list of accounts", async () =>
    tape.note("the list of accounts", await collect(worker.cache.accounts())),
  );
}

async function longRunning(
  { attempt, tape, ...cast }: Drive,
  api: Taped,
  oboAssertion: string,
): Promise<void> {
  const { client } = api;
  const begun = await attempt("a long-running process", () =>
    client.initiateLongRunningProcessInWebApi({ oboAssertion, scopes: TASKS }),
  );
  tape.note("metadata of results", begun?.metadata);
  // Whoever has it can act for the user.
  const longRunningProcessSessionKey = begun!.longRunningProcessSessionKey;
  cast.keepSecret(longRunningProcessSessionKey);
  const request = { longRunningProcessSessionKey, scopes: TASKS };
  await attempt("a process that goes on", async () =>
    (await cast.node("api")).client.acquireTokenInLongRunningProcess({ ...request, forceRefresh: true }),
  );
  await attempt("a process that nobody began", () =>
    client.acquireTokenInLongRunningProcess({ ...request, longRunningProcessSessionKey: "of somebody else" }),
  );
  await attempt("the end of a process", () =>
    client.stopLongRunningProcessInWebApi(longRunningProcessSessionKey),
  );
  await attempt("a process that has ended", () => client.acquireTokenInLongRunningProcess(request));
}

async function otherDoors({ attempt, authority, tape, ...cast }: Drive, web: Taped): Promise<void> {
  const desktop = cast.desktop(await cast.node("web", { namespace: "desktop" }));
  await attempt("a device code", () =>
    desktop.acquireTokenByDeviceCode({
      scopes: READ,
      deviceCodeCallback: ({ userCode }) => void authority.approveDeviceCode(userCode, ADA),
    }),
  );
  const other = cast.vendor();
  const request = { scopes: READ, redirectUri: REDIRECT_URI };
  const { params } = await authority.authorize(await other.getAuthCodeUrl(request), { user: BEN });
  await other.acquireTokenByCode({ ...request, code: params["code"]! });
  const blob = other.getTokenCache().serialize();
  const { clientId, authority: url } = authority.msalAuth("contoso", web.client.clientId);
  const bens = userPartition({ clientId, authority: url }, authority.homeAccountId(BEN));
  const elsewhere = await cast.node("web", { namespace: "imported" });
  await attempt("an import", () => elsewhere.cache.importBlob(bens, blob));
  const refreshToken = Object.values(
    (JSON.parse(blob) as { RefreshToken: Record<string, { secret: string }> }).RefreshToken,
  )[0]!.secret;
  await attempt("an import that is cut short", () => elsewhere.cache.importBlob(bens, blob.slice(0, -20)));
  await attempt("an import of a token", () => elsewhere.cache.importBlob(bens, refreshToken));
  await attempt("a refresh token from elsewhere", () =>
    elsewhere.client.acquireTokenByRefreshToken({ scopes: READ, refreshToken }),
  );
  const own = cast.vendor({ cachePlugin: elsewhere.cache.plugin(bens) });
  await attempt("an own client", async () => {
    const account = await own.getTokenCache().getAccountByHomeId(authority.homeAccountId(BEN));
    tape.note("what the browser has", account?.username);
    return own.acquireTokenSilent({ account: account!, scopes: TASKS });
  });
}

async function providerFails(
  { attempt, authority, ...cast }: Drive,
  web: Taped,
  account: Account,
): Promise<void> {
  const refresh = (node: Taped, who = account) =>
    node.client.acquireTokenSilent({ account: who, scopes: READ, forceRefresh: true });
  for (const kind of ["500", "503", "reset", "lost-answer"] as const) {
    authority.failNext({ kind, count: 5 });
    await attempt(`the provider: ${kind}`, () => refresh(web));
    authority.reset();
  }
  authority.failNext({ kind: "429", retryAfterSeconds: 60 });
  // A process of its own: MSAL asks no more until the time is up.
  await attempt("the provider: 429", async () => refresh(await cast.node("web")));
  authority.reset();
  authority.requireConsent(ADA, "api://tasks/write");
  await attempt("no consent", () =>
    web.client.acquireTokenSilent({ account, scopes: ["api://tasks/write"], forceRefresh: true }),
  );
  const claims = JSON.stringify({ access_token: { acrs: { essential: true, value: "c1" } } });
  authority.requireClaims(ADA, claims);
  await attempt("more claims", () => refresh(web));
  await attempt("the claims", () => web.client.acquireTokenSilent({ account, scopes: READ, claims }));
  authority.revokeUser(DORA);
  const worker = await cast.node("worker");
  const [known] = (await collect(worker.cache.accounts())).filter(({ username }) => username === DORA);
  if (!known) throw new Error("the third user is not listed");
  await attempt("a refused refresh token", () => refresh(worker, known));
  await attempt("nobody", () => refresh(web, { ...account, homeAccountId: `${"0".repeat(8)}.none` }));
}

async function storeFails({ attempt, authority, ...cast }: Drive): Promise<Haystack[]> {
  const folder = mkdtempSync(join(tmpdir(), "tokenkeep-spill-"));
  try {
    const spillFolder = join(folder, "spill");
    const node = await cast.node("web", { namespace: "failing", spillFolder, storeBreaker: false });
    const account = (await node.signIn(ADA)).account!;
    const ben = (await node.signIn(BEN)).account!;
    const error = Object.assign(new Error("the link to the store is down"), { command: ["SET"] });
    node.link.fail("all", { times: Infinity, error });
    await attempt("a refresh that cannot be saved", () =>
      node.client.acquireTokenSilent({ account, scopes: READ, forceRefresh: true }),
    );
    await attempt("a sign-in that cannot be saved", () => node.signIn(DORA));
    await attempt("an application token that cannot be saved", () =>
      node.client.acquireTokenByClientCredential({ scopes: APP_SCOPES }),
    );
    await attempt("a sign-out that has to wait", () => node.client.removeAccount(ben));
    const cold = await cast.node("web", { namespace: "failing" });
    cold.link.fail("all", { times: Infinity, error });
    await attempt("a cold process without its store", () =>
      cold.client.acquireTokenSilent({ account, scopes: READ }),
    );
    const spilled = filesIn(spillFolder);
    node.link.heal();
    await node.cache.parts.partitions.drain();
    authority.reset();
    return spilled;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function keysAndTampering({ attempt, authority, ...cast }: Drive): Promise<void> {
  const namespace = "attacked";
  const node = await cast.node("web", { namespace });
  const ada = (await node.signIn(ADA)).account!;
  const ben = (await node.signIn(BEN)).account!;
  const keyOf = ({ homeAccountId }: Account): string => {
    const { clientId, authority: url } = authority.msalAuth("contoso", node.client.clientId);
    const key = node.cache.parts.partitions.key(userPartition({ clientId, authority: url }, homeAccountId));
    return cast.nameOf(key);
  };
  const silent = async (who: Account, keys = cast.keys) =>
    (await cast.node("web", { namespace, keys })).client.acquireTokenSilent({ account: who, scopes: READ });
  await attempt("a key ring without the key", () => silent(ada, cast.strangerKeys("k2")));
  await attempt("another key of the same id", () => silent(ada, cast.strangerKeys("k1")));
  await attempt("a rotation of the keys", async () => {
    const rotated = await cast.node("web", { namespace: "rotated", keys: cast.rotatedKeys() });
    await (await cast.node("web", { namespace: "rotated" })).signIn(ADA);
    const onProgress = (progress: object): void => cast.tape.note("findings", progress);
    cast.tape.note("findings", await rotated.cache.rekey({ onProgress }));
  });

  const rewrite = async (who: Account, change: (bytes: Buffer) => Uint8Array): Promise<void> => {
    const stored = await node.link.get(keyOf(who));
    if (typeof stored !== "object") throw new Error("no record");
    const version = randomId(systemRuntime);
    const bytes = change(Buffer.from(stored.bytes));
    await node.link.put(keyOf(who), bytes, { version, ifVersion: stored.version, ttlMs: 600_000 });
  };
  const adas = await node.link.get(keyOf(ada));
  await rewrite(ben, () => (adas as { bytes: Uint8Array }).bytes);
  await attempt("another user's record in one's place", () => silent(ben));
  await rewrite(ada, (bytes) => bytes.fill(0x7b, bytes.length - 20));
  await attempt("a changed record", () => silent(ada));
  await rewrite(ada, (bytes) => bytes.subarray(0, 60));
  await attempt("a record cut short", () => silent(ada));
  await attempt("a sign-in over it", async () => (await cast.node("web", { namespace })).signIn(ADA));
}

/** What goes in by mistake must not come out in the message. */
async function wrongOptions({ attempt, authority, ...cast }: Drive): Promise<void> {
  const [token] = [...authority.issued].toReversed();
  const key = Buffer.from(token!).subarray(-31).toString("base64url");
  await attempt("a key cut short", () => parseKeys(`k1:${key}`));
  await attempt("a text without ids", () => parseKeys(key));
  await attempt("a key for a variable's name", () => keysFromEnv(key));
  await attempt("a token for a key", () => createKeyRing({ sealing: { id: "k1", key: token! } }));
  await attempt("a token for keys", () => createTokenCache({ keys: token as never }));
  await attempt("a token for an account", async () =>
    (await cast.node("web")).client.acquireTokenSilent({ account: token as never, scopes: READ }),
  );
  await attempt("a token for an option's name", () => createTokenCache({ [token!.slice(-40)]: 1 } as never));
  await attempt("a namespace", () => createTokenCache({ namespace: token! }));
}

async function endings({ attempt, tape, ...cast }: Drive, web: Taped, account: Account): Promise<void> {
  tape.note("findings", await web.cache.inspect());
  await attempt("a sign-out", () => web.client.removeAccount(account));
  await attempt("a call after it", () => web.client.acquireTokenSilent({ account, scopes: READ }));
  const other = await cast.node("api");
  const [ben] = (await collect(web.cache.accounts())).filter(({ username }) => username === BEN);
  await attempt("a sign-out everywhere", () => other.client.signOutEverywhere(ben!));
  await attempt("a clean-up", () => other.cache.purgeExpired());
  await attempt("closing", async () => tape.note("findings", await other.cache.close()));
  await attempt("a call after closing", () => other.client.acquireTokenSilent({ account, scopes: READ }));
}
