/** What the web app and the worker of a scenario have in common: the cache, the commands, the way to end. */
import { createHash } from "node:crypto";
import { inspect } from "node:util";
import { LogLevel } from "@azure/msal-node";
import {
  createConfidentialClient,
  createTokenCache,
  keysFromEnv,
  reloadingKeysFromFile,
  type ClientRole,
  type ConfidentialClient,
  type RekeyOptions,
  type TokenCache,
  type TokenCacheOptions,
  type TokenResult,
} from "../../../src/index.ts";
import {
  KEYS_VARIABLE,
  SETTINGS_VARIABLE,
  type Answer,
  type ChildSettings,
  type Command,
  type Served,
} from "./settings.ts";
import { openStore } from "./store.ts";

export interface Child {
  readonly settings: ChildSettings;
  readonly cache: TokenCache<never>;
  readonly client: ConfidentialClient;
}

/** Everything that happens is logged in full: the scenario looks for secrets in it afterwards. */
export function log(what: string, ...values: unknown[]): void {
  console.log(what, ...values.map((value) => inspect(value, { depth: 20, showHidden: true })));
}

export function startChild(role: ClientRole): Child {
  const settings = JSON.parse(process.env[SETTINGS_VARIABLE] ?? "") as ChildSettings;
  const store = openStore(settings);
  store.backplane.subscribe((message) => log("message from another process", message));
  const cache = createTokenCache<never>({
    store,
    keys: keysOf(settings),
    ...(settings.coherenceBoundMs && { coherenceBoundMs: settings.coherenceBoundMs }),
    onEvent: (event) => log("event", event),
  });
  const client = createConfidentialClient({
    auth: settings.auth,
    system: {
      ...(settings.protocolMode && { protocolMode: settings.protocolMode }),
      loggerOptions: {
        logLevel: LogLevel.Trace,
        piiLoggingEnabled: true,
        loggerCallback: (_level, message) => log("MSAL", message),
      },
    },
    tokenCache: cache,
    role,
    // A test holds the authority back for as long as it takes.
    requestTimeoutMs: 600_000,
  });
  return { settings, cache, client };
}

function keysOf({ unsealed, keysFile }: ChildSettings): NonNullable<TokenCacheOptions["keys"]> {
  if (unsealed) return "unsealed";
  // So seldom by itself that only what the scenario is about makes it do so.
  return keysFile ? reloadingKeysFromFile(keysFile, { everyMs: 86_400_000 }) : keysFromEnv(KEYS_VARIABLE);
}

/** What an operator does with keys, in whichever process. */
export function keyCommands(cache: TokenCache<never>) {
  return {
    "reload-keys": () => cache.reloadKeys(),
    rekey: (options: unknown) => cache.rekey(options as RekeyOptions),
    purge: () => cache.purgeExpired(),
  };
}

/** Answers commands of the parent process until it is told to stop; then the process ends by itself. */
export function serveCommands(
  commands: Readonly<Record<string, (argument: unknown) => unknown>>,
  stop: () => Promise<unknown>,
): void {
  process.on("message", (command: Command) => void answer(command));
  // A test that was given up leaves nobody behind.
  process.on("disconnect", () => isStopped || process.exit(1));
  let isStopped = false;

  async function answer({ id, name, argument }: Command): Promise<void> {
    try {
      const work = name === "stop" ? stop : commands[name];
      if (!work) throw new Error(`no command ${name}`);
      await reply({ id, result: await work(argument) });
    } catch (error) {
      log("command failed", error);
      await reply({ id, error: error instanceof Error ? `${error.name}: ${error.message}` : "unknown" });
    }
    if (name !== "stop") return;
    isStopped = true;
    process.disconnect();
  }
}

function reply(answer: Answer): Promise<void> {
  return new Promise((resolve) => process.send?.(answer, () => resolve()));
}

/** What was acquired, in a form that may be shown. */
export function served(result: TokenResult): Served {
  return {
    user: result.account?.username ?? "",
    tokenUser: claimsOf(result.accessToken)["preferred_username"] as string | undefined,
    scopes: result.scopes.filter(
      (scope) => !["openid", "profile", "offline_access", "email"].includes(scope),
    ),
    source: result.metadata.tokenSource,
    level: result.metadata.cacheLevel,
    saved: result.metadata.saved,
    nearExpiry: result.metadata.nearExpiry,
    fingerprint: createHash("sha256").update(result.accessToken).digest("base64url").slice(0, 16),
  };
}

/** For the test only: an application takes access tokens as they are. */
function claimsOf(token: string): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as Record<
      string,
      unknown
    >;
  } catch {
    return {};
  }
}
