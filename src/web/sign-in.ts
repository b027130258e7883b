/** Signing a user in, without any framework: two calls around the redirect. */
import { createHash, timingSafeEqual } from "node:crypto";
import { accountRef, type AccountRef } from "../activity/account-ref.ts";
import type { ConfidentialClient } from "../client/confidential-client.ts";
import type { TokenResult } from "../client/result.ts";
import { TokenkeepError } from "../errors.ts";
import { flowPartition } from "../partitions/partition.ts";
import { randomId } from "../runtime.ts";
import { localPath } from "./local-path.ts";
import { checkBeginSignIn, checkCompleteSignIn, resolveSignInOptions } from "./sign-in-options.ts";
import { createFlowCodec, invalidFlow, type Flow, type FlowCodec } from "./flow.ts";

/** What {@link createSignIn} is made from. */
export interface SignInOptions {
  /** What `createConfidentialClient` returned. */
  readonly client: ConfidentialClient;
  /** Where the identity provider sends the user back; registered with it, compared exactly. */
  readonly redirectUri: string;
  /** Scopes to ask for in every sign-in. `openid profile offline_access` are added by MSAL. Default none. */
  readonly scopes?: readonly string[];
  /** How long a sign-in may take, ms. Default ten minutes. */
  readonly flowTtlMs?: number;
}

/** What one sign-in asks for, beyond the options. */
export interface BeginSignIn {
  /** A path of this site to come back to, e.g. `/me`. Anything else becomes `/`. */
  readonly returnTo?: string;
  /** More scopes than those of the options. */
  readonly scopes?: readonly string[];
  /**
   * Scopes that the user is asked to consent to now and that are wanted later, also of other APIs: a token is of one
   * API only. The sign-in brings no token for them; `acquireTokenSilent` gets one afterwards.
   */
  readonly extraScopesToConsent?: readonly string[];
  /** How the identity provider asks, e.g. `select_account` or `consent` (OpenID Connect Core section 3.1.2.1). */
  readonly prompt?: string;
  /** The user name to fill in. */
  readonly loginHint?: string;
  /** The tenant whose own sign-in page to go to at once. */
  readonly domainHint?: string;
  /** A claims challenge, as an API or a failed silent call gave it. */
  readonly claims?: string;
  /** Another authority than the client's, e.g. a guest's tenant. */
  readonly authority?: string;
}

/** A sign-in that has been begun: one half for the browser's way out, one for its way back. */
export interface SignInBegun {
  /** Where to send the browser. */
  readonly url: string;
  /** To be handed to {@link SignIn.completeSignIn}; sealed, so a cookie may carry it. Under 2 KB. */
  readonly flow: string;
}

/** What the browser brings back. */
export interface CompleteSignIn {
  /** What {@link SignIn.beginSignIn} gave; several if the browser has begun several: `state` says which. */
  readonly flow: string | readonly string[];
  /** The URL the browser came back to; a path is enough. */
  readonly url: string;
}

/** A user who has signed in. */
export interface SignInCompleted {
  /** MSAL's result, with its tokens. Not for a session. */
  readonly result: TokenResult;
  /** Goes into the session: identifies the user, holds no secret. */
  readonly account: AccountRef;
  /** The path of this site that the user was going to. */
  readonly returnTo: string;
}

/** The two calls around the redirect. Keeps nothing between them: any node may complete what another began. */
export interface SignIn {
  /**
   * Makes the URL to send the browser to, and what completes the sign-in when it comes back.
   * @throws {OptionsError} naming the field of the request; MSAL's errors
   */
  beginSignIn(request?: BeginSignIn): Promise<SignInBegun>;
  /**
   * Checks that the redirect answers this flow, that the flow is fresh and has not been completed before, on
   * any node; then redeems the code.
   * @throws `ERR_FLOW_INVALID`, `ERR_FLOW_EXPIRED`, `ERR_STATE_MISMATCH`, `ERR_FLOW_REPLAYED`,
   * `ERR_AUTHORIZATION_FAILED`; MSAL's errors; retryable store errors before the code is spent.
   */
  completeSignIn(request: CompleteSignIn): Promise<SignInCompleted>;
}

/** Clocks of two nodes differ a little. */
const CLOCK_SKEW_MS = 60_000;

/**
 * Makes the two halves of a sign-in by authorization code with PKCE: sending the browser away, and taking it back.
 * @throws {OptionsError} naming the option
 */
export function createSignIn(options: SignInOptions): SignIn {
  const { client, redirectUri, scopes, flowTtlMs } = resolveSignInOptions(options);
  const { clientId } = client;
  const codec = (): FlowCodec => {
    const { flowSealer, namespace } = client.tokenCache.parts;
    return createFlowCodec(flowSealer, namespace, clientId);
  };

  async function beginSignIn(request: BeginSignIn = {}): Promise<SignInBegun> {
    checkBeginSignIn(request);
    const { runtime } = client.tokenCache.parts;
    const flow: Flow = {
      id: randomId(runtime),
      state: randomId(runtime),
      nonce: randomId(runtime),
      verifier: Buffer.from(runtime.randomBytes(32)).toString("base64url"),
      redirectUri,
      scopes: [...new Set([...scopes, ...(request.scopes ?? [])])],
      authority: request.authority,
      claims: request.claims,
      returnTo: localPath(request.returnTo),
      startedAtMs: runtime.now(),
    };
    const url = await client.getAuthCodeUrl({
      scopes: [...flow.scopes],
      redirectUri,
      state: flow.state,
      nonce: flow.nonce,
      codeChallenge: createHash("sha256").update(flow.verifier).digest("base64url"),
      codeChallengeMethod: "S256",
      ...(request.extraScopesToConsent && {
        extraScopesToConsent: [...request.extraScopesToConsent],
      }),
      ...(request.prompt && { prompt: request.prompt }),
      ...(request.loginHint && { loginHint: request.loginHint }),
      ...(request.domainHint && { domainHint: request.domainHint }),
      ...(request.claims && { claims: request.claims }),
      ...(request.authority && { authority: request.authority }),
    });
    return { url, flow: codec().seal(flow) };
  }

  async function completeSignIn(request: CompleteSignIn): Promise<SignInCompleted> {
    checkCompleteSignIn(request);
    const { runtime, partitions } = client.tokenCache.parts;
    const answer = answerOf(request.url, redirectUri);
    const flow = await flowOf(codec(), request.flow, answer);
    assertFresh(flow, runtime.now(), flowTtlMs);
    const code = codeFrom(answer);
    // Marked before the code is redeemed, where every node sees it; if the store is down, nothing is spent yet.
    const spent = flowPartition({ clientId, issuer: "-" }, flow.id);
    if (!(await partitions.spend(spent, flowTtlMs + 2 * CLOCK_SKEW_MS))) {
      throw new TokenkeepError(
        "ERR_FLOW_REPLAYED",
        "this sign-in has already been completed; begin a new one",
      );
    }
    const result = await client.acquireTokenByCode({
      code,
      scopes: [...flow.scopes],
      redirectUri: flow.redirectUri,
      codeVerifier: flow.verifier,
      nonce: flow.nonce,
      ...(flow.authority && { authority: flow.authority }),
      ...(flow.claims && { claims: flow.claims }),
    });
    if (!result.account) throw new TokenkeepError("ERR_ACCOUNT_MISSING", "the sign-in names no account");
    return { result, account: accountRef(result.account), returnTo: flow.returnTo };
  }

  return { beginSignIn, completeSignIn };
}

function assertFresh(flow: Flow, nowMs: number, ttlMs: number): void {
  const ageMs = nowMs - flow.startedAtMs;
  if (ageMs > ttlMs || ageMs < -CLOCK_SKEW_MS) {
    throw new TokenkeepError("ERR_FLOW_EXPIRED", "the sign-in took too long; begin a new one");
  }
}

/** The one flow among those the browser carries that this redirect answers. */
async function flowOf(codec: FlowCodec, carried: string | readonly string[], answer: URL): Promise<Flow> {
  // Out of a session it may be anything; the codec refuses what is no text.
  const texts: readonly string[] = Array.isArray(carried) ? carried : [carried as string];
  const state = answer.searchParams.get("state") ?? "";
  let problem: unknown;
  let opened = false;
  for (const text of texts.toReversed()) {
    try {
      const flow = await codec.open(text);
      opened = true;
      if (sameText(state, flow.state)) return flow;
    } catch (error) {
      problem ??= error;
    }
  }
  if (!opened) throw problem ?? invalidFlow();
  throw new TokenkeepError(
    "ERR_STATE_MISMATCH",
    "the redirect answers another sign-in than the one this browser began; begin a new one",
  );
}

function codeFrom(answer: URL): string {
  const error = answer.searchParams.get("error");
  if (error !== null) {
    throw new TokenkeepError(
      "ERR_AUTHORIZATION_FAILED",
      `the identity provider refused the sign-in: ${printable(error)}`,
      { cause: new Error(printable(answer.searchParams.get("error_description") ?? error)) },
    );
  }
  const code = answer.searchParams.get("code");
  if (!code) throw new TokenkeepError("ERR_AUTHORIZATION_FAILED", "the redirect carries no code");
  return code;
}

/** Behind a proxy the host of the request may differ; the path must be the one the provider was given. */
function answerOf(url: string, redirectUri: string): URL {
  const answer = URL.canParse(url, redirectUri) ? new URL(url, redirectUri) : undefined;
  if (answer?.pathname === new URL(redirectUri).pathname) return answer;
  throw new TokenkeepError(
    "ERR_STATE_MISMATCH",
    "the redirect did not come to the redirect URI of this application",
  );
}

function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** An error of the provider's in a form that is safe in a log. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, " ").slice(0, 300);
}
