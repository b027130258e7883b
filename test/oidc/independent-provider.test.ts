/** The same sign-in against a provider that somebody else wrote and the OpenID Foundation has certified. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { generateKey, systemRuntime } from "../../src/index.ts";
import { createBrowser, type Browser, type Page } from "../scenarios/browser.ts";
import { foreignRecords, leaksIn, openRecords, rawStore } from "../scenarios/evidence.ts";
import { startProcess, type ChildHandle } from "../scenarios/processes.ts";
import { selfSignedCertificate } from "./certificate.ts";
import { CLIENT_ID, CLIENT_SECRET, startOpenIdProvider, type OpenIdProvider } from "./provider.ts";

// Several processes are started, and the machine may be busy with other tests.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const keys = generateKey(systemRuntime);
const trusted = getCACertificates("default");
let folder = "";
let storePath = "";
let provider: OpenIdProvider;
let nodes: ChildHandle[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tokenkeep-oidc-"));
  chmodSync(folder, 0o700);
  storePath = join(folder, "tokens.db");
  const certificate = selfSignedCertificate();
  writeFileSync(join(folder, "certificate.pem"), certificate.cert);
  setDefaultCACertificates([...trusted, certificate.cert]);
  provider = await startOpenIdProvider(certificate);
  nodes = [];
});

afterEach(async () => {
  setDefaultCACertificates(trusted);
  await Promise.all(nodes.map((node) => node.kill()));
  await provider.close();
  rmSync(folder, { recursive: true, force: true });
});

/** One process of the web app. */
async function startNode(): Promise<ChildHandle> {
  const settings = {
    auth: {
      clientId: CLIENT_ID,
      clientSecret: CLIENT_SECRET,
      authority: provider.issuer,
      knownAuthorities: [new URL(provider.issuer).host],
    },
    protocolMode: "OIDC" as const,
    storePath,
    lockTimeoutMs: 30_000,
    scopes: ["notes"],
    // Without asking the user this provider gives no refresh token (OpenID Connect Core section 11).
    prompt: "consent",
    sessionPassword: "a password of a session of the test",
  };
  const trust = { NODE_EXTRA_CA_CERTS: join(folder, "certificate.pem") };
  const node = await startProcess("web-app", settings, keys, trust);
  nodes.push(node);
  return node;
}

/** Fills in the provider's two pages, login and consent. */
async function passPages(browser: Browser, start: string, login: string): Promise<Page> {
  const loginPage = await browser.get(start);
  const consentPage = await browser.post(formOf(loginPage), { prompt: "login", login, password: "any" });
  return browser.post(formOf(consentPage), { prompt: "consent" });
}

function formOf(page: Page): string {
  const action = /<form[^>]* action="([^"]+)"/.exec(String(page.body))?.[1];
  if (action === undefined) throw new Error(`no form at ${page.url} (${page.status}): ${String(page.body)}`);
  return new URL(action.replaceAll("&amp;", "&"), page.url).href;
}

test("sign-in with PKCE and nonce, silent, one-time refresh, a second process and sign-out work with oidc-provider", async () => {
  const first = await startNode();
  const browser = createBrowser();
  const user = "alice@example.test";
  expect(await passPages(browser, `${first.ready}/sign-in?returnTo=/me`, "alice")).toMatchObject({
    url: `${first.ready}/me`,
    status: 200,
    body: { user, source: "cache", level: "L1" },
  });
  expect(provider.grants).toEqual(["authorization_code"]);

  const second = await startNode();
  expect(await browser.get(`${second.ready}/me`)).toMatchObject({
    status: 200,
    body: { user, source: "cache", level: "L2" },
  });
  expect(provider.grants).toEqual(["authorization_code"]);

  // The provider takes each refresh token once: each process must go on with what the other stored.
  for (const node of [second, first, second]) {
    expect(await browser.get(`${node.ready}/me?force=yes`)).toMatchObject({
      status: 200,
      body: { user, source: "identity-provider", saved: true },
    });
  }
  const afterRefresh = ["authorization_code", "refresh_token", "refresh_token", "refresh_token"];
  expect(provider.grants).toEqual(afterRefresh);

  const records = await openRecords({ storePath }, keys);
  expect(foreignRecords(records)).toEqual([]);
  expect(records.filter(({ kind }) => kind === "user").map(({ owners }) => owners)).toEqual([["alice"]]);

  const session = createBrowser();
  await passPages(session, `${first.ready}/sign-in?returnTo=/me`, "bob");
  expect(await browser.post(`${first.ready}/sign-out`)).toMatchObject({ body: { status: "done" } });
  expect((await openRecords({ storePath }, keys)).filter(({ kind }) => kind === "user")).toMatchObject([
    { record: { type: "removed" } },
    { record: { type: "tokens" }, owners: ["bob"] },
  ]);
  expect(await session.get(`${second.ready}/me`)).toMatchObject({ body: { user: "bob@example.test" } });
  expect(provider.grants).toEqual([...afterRefresh, "authorization_code"]);

  expect(provider.secrets.size).toBeGreaterThan(10);
  expect(leaksIn(rawStore({ storePath }), provider.secrets)).toBe(0);
  const ends = await Promise.all(nodes.map((node) => node.stop()));
  expect(ends.map(({ code }) => code)).toEqual([0, 0]);
  const printed = Buffer.from(nodes.map((node) => node.output()).join("\n"));
  expect(leaksIn(printed, provider.secrets)).toBe(0);
  expect(leaksIn(rawStore({ storePath }), provider.secrets)).toBe(0);
});

test.each([
  { what: "another nonce", parameter: "nonce", code: "nonce_mismatch", grant: "authorization_code" },
  {
    what: "another PKCE challenge",
    parameter: "code_challenge",
    code: "invalid_grant",
    grant: "failed authorization_code",
  },
])(
  "a sign-in whose request reached oidc-provider with $what is refused and leaves no tokens",
  async ({ parameter, code, grant }) => {
    const node = await startNode();
    const browser = createBrowser();
    const start = await browser.goUntil(`${node.ready}/sign-in`, (url) => url.startsWith(provider.issuer));
    const altered = new URL(start);
    expect(altered.searchParams.get(parameter)).toMatch(/^[\w-]{20,}$/);
    altered.searchParams.set(parameter, "A".repeat(43));
    expect(await passPages(browser, altered.href, "alice")).toMatchObject({ status: 400, body: { code } });
    expect(provider.grants).toEqual([grant]);
    expect((await openRecords({ storePath }, keys)).map(({ kind }) => kind)).toEqual(["flow"]);
  },
);
