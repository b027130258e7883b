/**
 * Runs the README's web app and worker as they are printed there, against the local authority: a user signs
 * in through the web app, uses it, and the worker, another process, refreshes that user's token.
 */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { generateKey, systemRuntime } from "tokenkeep";
import { createLocalAuthority, DEFAULT_APPS, DEFAULT_CLIENT_IDS, DEFAULT_TENANTS } from "tokenkeep/testing";

const ADA = "ada@contoso.example";
const PAGE = { accept: "text/html" };
// MSAL refreshes what has less than five minutes left: every use needs a refresh.
const lifetimes = { accessTokenSeconds: 120 };

const authority = createLocalAuthority({ authorityHost: "login.microsoftonline.com", lifetimes });
const listener = await authority.listen();
const port = await freePort();
const environment = {
  CLIENT_ID: DEFAULT_CLIENT_IDS.web,
  CLIENT_SECRET: DEFAULT_APPS.find(({ clientId }) => clientId === DEFAULT_CLIENT_IDS.web)?.clientSecret,
  AUTHORITY: `https://login.microsoftonline.com/${DEFAULT_TENANTS["contoso"]}`,
  TOKENKEEP_KEYS: generateKey(systemRuntime),
  SESSION_SECRET: "a session secret of more than 32 characters",
  PORT: String(port),
  LOCAL_AUTHORITY: listener.origin,
};
const printed: string[] = [];
const children: ChildProcess[] = [];

try {
  const webApp = start("web-app.ts");
  await Promise.race([once(webApp, "message"), ended(webApp).then(() => assert.fail("the web app ended"))]);
  await signIn(`http://localhost:${port}`);
  assert.equal(authority.count({ grant: "authorization_code", outcome: "ok" }), 1);
  webApp.kill();
  await ended(webApp);

  const before = authority.count({ grant: "refresh_token", user: ADA, outcome: "ok" });
  const worker = start("worker.ts");
  assert.equal(await ended(worker), 0, "the worker ended badly");
  assert.equal(authority.count({ grant: "refresh_token", user: ADA, outcome: "ok" }), before + 1);
  assert.equal(authority.count({ grant: "authorization_code" }), 1, "the worker needed no sign-in");

  const output = printed.join("");
  const secrets = [...authority.issued, environment.TOKENKEEP_KEYS, environment.SESSION_SECRET];
  assert.ok(!secrets.some((secret) => output.includes(secret)), "a secret was printed");
} catch (error) {
  console.error(printed.join(""));
  throw error;
} finally {
  for (const child of children) child.kill();
  await listener.close();
}

/** As a browser: the guard sends to the authority, a person picks an account, and back to where one was going. */
async function signIn(origin: string): Promise<void> {
  const cookies = new Map<string, string>();
  const get = async (url: string): Promise<Response> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(new URL(url, origin), { redirect: "manual", headers: { ...PAGE, cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    return response;
  };
  const follow = async (url: string): Promise<{ status: number; location: string; body: string }> => {
    const response = await get(url);
    const location = response.headers.get("location") ?? "";
    if (location !== "" && new URL(location, origin).origin === origin) return follow(location);
    return { status: response.status, location, body: await response.text() };
  };

  const { location } = await follow("/me");
  const { redirectUri, params } = await authority.authorize(location, { user: ADA });
  assert.equal(new URL(redirectUri).origin, origin);
  const page = await follow(`${redirectUri}?${new URLSearchParams(params).toString()}`);
  assert.equal(page.status, 200, page.body);
  assert.match(page.body, new RegExp(ADA));
}

function start(program: string): ChildProcess {
  const child = spawn(process.execPath, ["--import", "./to-local-authority.mjs", program], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => printed.push(chunk.toString("utf8")));
  }
  children.push(child);
  return child;
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "close");
  return child.exitCode;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port: free } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return free;
}
