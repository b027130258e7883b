/** Asks things of nodes, and keeps what became of them. */
import type { AccountRef } from "../src/activity/account-ref.ts";
import type { TokenResult } from "../src/client/result.ts";
import type { SignOutOutcome } from "../src/partitions/sign-out.ts";
import {
  accountOf,
  APP_SCOPES,
  GUEST_ID,
  HOME_ID,
  HOST,
  REDIRECT_URI,
  SIGN_IN_SCOPES,
  STEP_UP,
  WEB_ID,
} from "./cast.ts";
import { attempt } from "./attempt.ts";
import { jobKeyOf } from "./jobs.ts";
import { nameOf, type Operation } from "./operation.ts";
import type { Prng } from "./prng.ts";
import type { Process } from "./process.ts";
import type { World } from "./world.ts";

export interface Operations {
  readonly all: readonly Operation[];
  /** Names of the people of this run. */
  readonly users: readonly string[];
  pickUser(prng: Prng): string;
  /** The tokens for the API that a user's browsers got, the oldest first. */
  assertionsOf(user: string): string[];
  account(user: string): AccountRef;
  byCorrelationId(id: string): Operation | undefined;
  signIn(process: Process, user: string): void;
  silent(process: Process, user: string, how: SilentHow): void;
  /** The API exchanges a token that the user's browser session holds. */
  onBehalfOf(process: Process, user: string, assertion: string, scopes: readonly string[]): void;
  /** The API begins the user's job, which goes on after the assertion has expired. */
  beginJob(process: Process, user: string, assertion: string, scopes: readonly string[]): void;
  goOn(process: Process, user: string, scopes: readonly string[]): void;
  stopJob(process: Process, user: string): void;
  forApplication(process: Process): void;
  signOut(process: Process, user: string): void;
  signOutEverywhere(process: Process, user: string, app: "web" | "api"): void;
  browserSignOut(process: Process, user: string): void;
  /** A worker acts for everybody whom `accounts()` lists. */
  workerRun(process: Process): void;
}

interface SilentHow {
  readonly kind: "silent" | "step-up" | "force";
  readonly scopes: readonly string[];
  /** The tenant in which the user is a guest. */
  readonly asGuest?: boolean;
}

type Started = Pick<Operation, "kind" | "process"> & Partial<Operation>;

export function createOperations(world: World): Operations {
  const all: Operation[] = [];
  const byId = new Map<string, Operation>();
  const users = ["ada", "ben", "cleo"].slice(0, world.profile.users);
  const { scheduler, history, provider } = world;

  function account(user: string): AccountRef {
    return accountOf(user, provider.authority.homeAccountId(`${user}@contoso.example`));
  }

  /** Calls for the same thing share one answer, as old as the first of them. */
  function joined(of: Started): Operation | undefined {
    return [...of.process.running].find(
      (other) =>
        other.kind === of.kind &&
        other.user === of.user &&
        other.scopes[0] === of.scopes?.[0] &&
        other.tenantId === (of.tenantId ?? HOME_ID) &&
        other.assertion === of.assertion &&
        other.jobKey === of.jobKey,
    );
  }

  function start(of: Started): Operation {
    const operation: Operation = {
      id: all.length + 1,
      user: undefined,
      app: "web",
      scopes: [],
      tenantId: HOME_ID,
      correlationId: world.prng.bytes.uuid(),
      begin: scheduler.nowMs,
      flightBegin: joined(of)?.flightBegin ?? scheduler.nowMs,
      end: undefined,
      state: "running",
      calls: [],
      ...of,
    };
    all.push(operation);
    byId.set(operation.correlationId, operation);
    operation.process.running.add(operation);
    history.add(`${operation.process.name} begins ${nameOf(operation)}`);
    return operation;
  }

  function finish(operation: Operation, state: "ok" | "failed", text: string): void {
    if (operation.state !== "running") return;
    operation.state = state;
    operation.end = scheduler.nowMs;
    operation.process.running.delete(operation);
    history.add(`${operation.process.name} ends   ${nameOf(operation)}: ${text}`);
    world.checker.ended(operation);
  }

  function failed(operation: Operation, error: unknown): void {
    operation.error = error;
    finish(operation, "failed", describeError(error));
  }

  /** Runs in the process's own event, so that all that follows is the process's. */
  function run(of: Started, work: (operation: Operation) => Promise<string>): Promise<void> {
    const operation = start(of);
    return attempt(() => work(operation)).then(
      (text) => finish(operation, "ok", text),
      (error: unknown) => failed(operation, error),
    );
  }

  function answered(operation: Operation, result: TokenResult | null): string {
    if (!result) return "nothing";
    operation.accessToken = result.accessToken;
    operation.account = result.account ?? undefined;
    operation.saved = result.metadata.saved;
    operation.nearExpiry = result.metadata.nearExpiry;
    operation.fromCache = result.metadata.tokenSource === "cache";
    operation.cacheLevel = result.metadata.cacheLevel;
    const name = world.ledger.access(result.accessToken)?.name ?? "unknown token";
    const how = operation.fromCache
      ? result.metadata.cacheLevel
      : result.metadata.saved
        ? "saved"
        : "unsaved";
    return `${name} (${how})`;
  }

  const begin = (process: Process, work: () => void): void => {
    scheduler.after(0, process, () => {
      if (!process.draining) work();
    });
  };

  function silentNow(process: Process, user: string, how: SilentHow, ref = account(user)): Promise<void> {
    const { kind, scopes, asGuest = false } = how;
    return run({ kind, process, user, scopes, tenantId: asGuest ? GUEST_ID : HOME_ID }, async (operation) =>
      answered(
        operation,
        await process.clients.web.acquireTokenSilent({
          account: ref,
          scopes: [...scopes],
          correlationId: operation.correlationId,
          ...(asGuest && { authority: `https://${HOST}/${GUEST_ID}` }),
          ...(kind === "step-up" && { claims: STEP_UP }),
          ...(kind === "force" && { forceRefresh: true }),
        }),
      ),
    );
  }

  function signedOut(operation: Operation, outcome: SignOutOutcome): string {
    operation.signedOut = outcome;
    return `${outcome.status}${outcome.durable ? "" : ", not durable"}`;
  }

  return {
    all,
    users,
    assertionsOf: (wanted) =>
      all.flatMap(({ user, app, scopes, accessToken }) =>
        user === wanted && app === "web" && scopes[0] === "api://notes/read" && accessToken !== undefined
          ? [accessToken]
          : [],
      ),
    pickUser: (prng) => prng.pick(users),
    account,
    byCorrelationId: (id) => byId.get(id),
    signIn(process, user) {
      void provider.authority
        .authorize(authorizeUrl(), { user: `${user}@contoso.example` })
        .then((answer) => {
          const code = answer.params["code"];
          // The browser comes back to whichever process runs there by then.
          scheduler.after(world.prng.network.wait(200), process, () => {
            if (process.draining || code === undefined) return;
            void run({ kind: "sign-in", process, user, scopes: SIGN_IN_SCOPES }, async (operation) =>
              answered(
                operation,
                await process.clients.web.acquireTokenByCode({
                  code,
                  scopes: SIGN_IN_SCOPES,
                  redirectUri: REDIRECT_URI,
                  correlationId: operation.correlationId,
                }),
              ),
            );
          });
        });
    },
    silent: (process, user, how) => begin(process, () => void silentNow(process, user, how)),
    onBehalfOf: (process, user, assertion, scopes) =>
      begin(process, () => {
        world.checker.assertionUsed(assertion, user);
        void run({ kind: "obo", process, user, app: "api", scopes, assertion }, async (operation) =>
          answered(
            operation,
            await process.clients.api.acquireTokenOnBehalfOf({
              oboAssertion: assertion,
              scopes: [...scopes],
              correlationId: operation.correlationId,
            }),
          ),
        );
      }),
    beginJob: (process, user, assertion, scopes) =>
      begin(process, () => {
        const jobKey = jobKeyOf(user);
        const started = { kind: "job-begin", process, user, app: "api", scopes, assertion, jobKey } as const;
        void run(started, async (operation) =>
          answered(
            operation,
            await process.clients.api.initiateLongRunningProcessInWebApi(
              { oboAssertion: assertion, scopes: [...scopes], correlationId: operation.correlationId },
              jobKey,
            ),
          ),
        );
      }),
    goOn: (process, user, scopes) =>
      begin(process, () => {
        const jobKey = jobKeyOf(user);
        void run({ kind: "job-resume", process, user, app: "api", scopes, jobKey }, async (operation) =>
          answered(
            operation,
            await process.clients.api.acquireTokenInLongRunningProcess({
              longRunningProcessSessionKey: jobKey,
              scopes: [...scopes],
              correlationId: operation.correlationId,
            }),
          ),
        );
      }),
    stopJob: (process, user) =>
      begin(process, () => {
        const jobKey = jobKeyOf(user);
        void run({ kind: "job-stop", process, user, app: "api", jobKey }, async (operation) =>
          signedOut(operation, await process.clients.api.stopLongRunningProcessInWebApi(jobKey)),
        );
      }),
    forApplication: (process) =>
      begin(process, () => {
        void run({ kind: "app", process, scopes: APP_SCOPES }, async (operation) =>
          answered(
            operation,
            await process.clients.web.acquireTokenByClientCredential({
              scopes: APP_SCOPES,
              correlationId: operation.correlationId,
            }),
          ),
        );
      }),
    signOut: (process, user) =>
      begin(process, () => {
        void run({ kind: "sign-out", process, user }, async (operation) =>
          signedOut(operation, await process.clients.web.removeAccount(account(user))),
        );
      }),
    signOutEverywhere: (process, user, app) =>
      begin(process, () => {
        void run({ kind: "sign-out-everywhere", process, user, app }, async (operation) =>
          signedOut(operation, await process.clients[app].signOutEverywhere(account(user))),
        );
      }),
    browserSignOut: (process, user) =>
      begin(process, () => {
        void run({ kind: "browser-sign-out", process, user }, () => Promise.resolve("only the session ends"));
      }),
    workerRun: (process) =>
      begin(process, () => {
        void run({ kind: "accounts", process }, async () => {
          const seen: string[] = [];
          for await (const known of process.cache.accounts({ clientId: WEB_ID })) {
            const user = known.username.split("@")[0] ?? "";
            seen.push(user);
            if (known.status !== "ok" || process.draining) continue;
            const scopes = world.prng.workload.pick([SIGN_IN_SCOPES, ["api://tasks/read"]]);
            await silentNow(process, user, { kind: "silent", scopes }, known);
          }
          return seen.join(" ");
        });
      }),
  };
}

/** What the web application sends the browser to; MSAL's own URL adds nothing that matters here. */
function authorizeUrl(): string {
  const params = new URLSearchParams({
    client_id: WEB_ID,
    response_type: "code",
    redirect_uri: REDIRECT_URI,
    scope: [...SIGN_IN_SCOPES, "openid", "profile", "offline_access"].join(" "),
  });
  return `https://${HOST}/${HOME_ID}/oauth2/v2.0/authorize?${params.toString()}`;
}

export function describeError(error: unknown): string {
  const shape = (error ?? {}) as { name?: string; code?: string; errorCode?: string; message?: string };
  return `${shape.name ?? "Error"} ${shape.code ?? shape.errorCode ?? shape.message ?? ""}`;
}
