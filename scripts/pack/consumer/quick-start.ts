/**
 * Does what the README's quick start says, by the letter, against the local authority: a user signs in through
 * the web app, uses it, comes back after a revocation, and the worker, another process, acts for that user.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { createLocalAuthority, DEFAULT_APPS, DEFAULT_CLIENT_IDS, DEFAULT_TENANTS } from "tokenkeep/testing";

interface QuickStart {
  /** What the README says to register. */
  readonly redirectUri: string;
  /** The `.env` file, with placeholders. */
  readonly settings: string;
  /** Commands. */
  readonly keys: string;
  readonly webApp: string;
  readonly worker: string;
}

interface Program {
  readonly process: ChildProcess;
  /** Everything printed so far. */
  output(): string;
  readonly ended: Promise<number | null>;
}

const ADA = "ada@contoso.example";
const PAGE = { accept: "text/html" };
const quickStart = JSON.parse(readFileSync("quick-start.json", "utf8")) as QuickStart;
const registered = DEFAULT_APPS.find(({ clientId }) => clientId === DEFAULT_CLIENT_IDS.web);
assert.ok(registered?.clientSecret);

const authority = createLocalAuthority({
  authorityHost: "login.microsoftonline.com",
  apps: [{ ...registered, redirectUris: [quickStart.redirectUri] }],
  // MSAL refreshes what has less than five minutes left: every use needs a refresh.
  lifetimes: { accessTokenSeconds: 120 },
});
const listener = await authority.listen();
const programs: Program[] = [];

try {
  await writeSettings();
  await theWorker({}, 0, "nobody to act for");
  await theWebApp();
  await theWorkerServes();
  await theWorkerComesBackAfterAnOutage();
  nothingSecretWasPrinted();
} catch (error) {
  console.error(programs.map(({ output }) => output()).join(""));
  throw error;
} finally {
  for (const { process: child } of programs) child.kill();
  await listener.close();
}

async function writeSettings(): Promise<void> {
  const values: Readonly<Record<string, string | undefined>> = {
    "application (client) id": registered?.clientId,
    "client secret": registered?.clientSecret,
    "directory (tenant) id": DEFAULT_TENANTS["contoso"],
  };
  const settings = quickStart.settings.replaceAll(/<([^>]+)>/g, (placeholder, name: string) => {
    return values[name] ?? assert.fail(`nobody knows what to put for ${placeholder}`);
  });
  writeFileSync(".env", `${settings}PORT=${await freePort()}\n`);
  execFileSync("sh", ["-eu", "-c", quickStart.keys]);
  if (process.platform !== "win32") assert.equal(statSync(".env").mode & 0o077, 0);
}

async function theWebApp(): Promise<void> {
  const webApp = start(quickStart.webApp);
  const address = await printed(webApp, /Open (http:\S+)/);
  const { get, follow } = browser(new URL(address).origin);
  await signIn(follow, address);
  assert.equal(authority.count({ grant: "authorization_code", outcome: "ok" }), 1);
  const front = await follow("/");
  assert.equal(front.status, 200, "the front page leads to the profile");

  authority.revokeUser(ADA);
  const api = await get("/me", { accept: "application/json" });
  assert.equal(api.status, 401, "what is no visit of a page is told that somebody must sign in");
  await signIn(follow, "/me");
  assert.equal(authority.count({ grant: "authorization_code", outcome: "ok" }), 2);
  webApp.process.kill();
  await webApp.ended;
}

async function theWorkerServes(): Promise<void> {
  const before = authority.count({ grant: "refresh_token", user: ADA, outcome: "ok" });
  await theWorker({}, 0, "Served 1 of 1");
  assert.equal(authority.count({ grant: "refresh_token", user: ADA, outcome: "ok" }), before + 1);
  assert.equal(authority.count({ grant: "authorization_code" }), 2, "the worker needed no sign-in");
}

async function theWorkerComesBackAfterAnOutage(): Promise<void> {
  // Later than the token lives: in its last five minutes it would be served all the same.
  const later = { CLOCK_AHEAD_MS: "1000000" };
  authority.failNext({ kind: "503", grant: "refresh_token" });
  const { output } = await theWorker(later, 1, "Served 0 of 1");
  assert.match(output(), new RegExp(`${ADA}: server_error`), "it says why");
  await theWorker(later, 0, "nobody to act for");
  await theWorker({ CLOCK_AHEAD_MS: "1090000" }, 0, "Served 1 of 1");
}

function nothingSecretWasPrinted(): void {
  const output = programs.map((program) => program.output()).join("");
  const settings = readFileSync(".env", "utf8");
  const ours = [...settings.matchAll(/^(?:TOKENKEEP_KEYS|SESSION_SECRET)=(.+)$/gm)].map(
    ([, key = ""]) => key,
  );
  assert.equal(ours.length, 2);
  const secrets = [...authority.issued, ...ours];
  assert.ok(!secrets.some((secret) => output.includes(secret)), "a secret was printed");
}

async function theWorker(env: Record<string, string>, code: number, says: string): Promise<Program> {
  const worker = start(quickStart.worker, env);
  assert.equal(await worker.ended, code, `the worker was to end with ${code}`);
  assert.ok(worker.output().includes(says), `the worker was to say: ${says}`);
  return worker;
}

type Follow = (url: string) => Promise<{ status: number; location: string; body: string }>;

/** As a person: the app sends to the authority, one picks an account, and is back where one was going. */
async function signIn(follow: Follow, address: string): Promise<void> {
  const { location } = await follow(address);
  const { redirectUri, params } = await authority.authorize(location, { user: ADA });
  const page = await follow(`${redirectUri}?${new URLSearchParams(params).toString()}`);
  assert.equal(page.status, 200, page.body);
  assert.match(page.body, new RegExp(ADA));
}

/** Follows redirects within the app's own origin, with cookies. */
function browser(origin: string): {
  get: (url: string, headers?: Record<string, string>) => Promise<Response>;
  follow: Follow;
} {
  const cookies = new Map<string, string>();
  const get = async (url: string, headers: Record<string, string> = PAGE): Promise<Response> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(new URL(url, origin), {
      redirect: "manual",
      headers: { ...headers, cookie },
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    return response;
  };
  const follow: Follow = async (url) => {
    const response = await get(url);
    const location = response.headers.get("location") ?? "";
    if (location !== "" && new URL(location, origin).origin === origin) return follow(location);
    return { status: response.status, location, body: await response.text() };
  };
  return { get, follow };
}

/** Runs one of the README's commands. */
function start(command: string, env: Record<string, string> = {}): Program {
  const child = spawn("sh", ["-eu", "-c", `exec ${command}`], {
    env: {
      ...process.env,
      ...env,
      NODE_OPTIONS: "--import ./to-local-authority.mjs",
      LOCAL_AUTHORITY: listener.origin,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const ended = once(child, "close").then(([code]) => code as number | null);
  const program: Program = { process: child, output: () => output, ended };
  programs.push(program);
  return program;
}

/** What a program prints, as soon as it does. */
async function printed(program: Program, pattern: RegExp): Promise<string> {
  const found = new Promise<string>((resolve) => {
    const look = (): void => {
      const [, text] = pattern.exec(program.output()) ?? [];
      if (text !== undefined) resolve(text);
    };
    program.process.stdout?.on("data", look);
  });
  return Promise.race([found, program.ended.then(() => assert.fail(`it ended without ${pattern}`))]);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port: free } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return free;
}
