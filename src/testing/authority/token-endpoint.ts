/** The token endpoint: holds, faults, client authentication, dispatch, log. */
import {
  jsonAnswer,
  param,
  tenantOf,
  type AuthorityAnswer,
  type AuthorityContext,
  type AuthorityRequest,
} from "./context.ts";
import { authenticateClient } from "./client-auth.ts";
import { delayFor, type Fault } from "./faults.ts";
import { errorBody, OAuthError } from "./oauth-error.ts";
import { readScopes, splitScopes } from "./scopes.ts";
import { grantClientCredentials, grantOnBehalfOf } from "./service-grants.ts";
import {
  describeRequest,
  type CallFacts,
  type GrantHandler,
  type TokenRequest,
  type TokenResult,
} from "./token-request.ts";
import { redeemAuthorizationCode, redeemDeviceCode, redeemRefreshToken } from "./user-grants.ts";

const HANDLERS: Readonly<Partial<Record<CallFacts["grant"], GrantHandler>>> = Object.freeze({
  authorization_code: redeemAuthorizationCode,
  refresh_token: redeemRefreshToken,
  client_credentials: grantClientCredentials,
  on_behalf_of: grantOnBehalfOf,
  device_code: redeemDeviceCode,
});

/** POST /{tenant}/oauth2/v2.0/token. Gives `undefined` when the connection is to break. */
export async function tokenEndpoint(
  context: AuthorityContext,
  segment: string,
  request: AuthorityRequest,
): Promise<AuthorityAnswer | undefined> {
  await context.faults.pass();
  const params = new URLSearchParams(request.body);
  const described = describeRequest(context, segment, params);
  const fault = context.faults.take(described.grant, described.user);
  await delayFor(context.runtime, fault);
  const broken = breakBefore(context, described, fault);
  if (broken !== undefined) return broken === "reset" ? undefined : broken;
  const delivered = fault?.kind !== "lost-answer";
  const answer = carryOut(
    context,
    described,
    delivered,
    () => {
      const app = authenticateClient(context, params, request.headers["authorization"]);
      return dispatch(context, described, { segment, params, app });
    },
    param(params, "client-request-id"),
  );
  return delivered ? answer : undefined;
}

function dispatch(context: AuthorityContext, facts: CallFacts, request: TokenRequest): TokenResult {
  const handler = HANDLERS[facts.grant];
  if (handler === undefined) {
    throw new OAuthError("unsupported_grant_type", 70003, "The grant type is not supported.");
  }
  return handler(context, request);
}

function carryOut(
  context: AuthorityContext,
  facts: CallFacts,
  delivered: boolean,
  work: () => TokenResult,
  correlationId: string | undefined,
): AuthorityAnswer {
  const at = context.runtime.now();
  try {
    const { body, tenant, grantId } = work();
    const found = { tenant: tenant.tenantId, ...(grantId === undefined ? {} : { grantId }) };
    const user = grantId === undefined ? undefined : context.grants.byId(grantId)?.person.username;
    const who = user === undefined ? {} : { user };
    context.log.add({ ...facts, ...found, ...who, at, outcome: "ok", delivered });
    return jsonAnswer(200, body);
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    const { error: outcome, number: errorNumber } = error;
    context.log.add({ ...facts, at, outcome, errorNumber, delivered });
    return jsonAnswer(error.status, errorBody(error, at, correlationId));
  }
}

function breakBefore(
  context: AuthorityContext,
  facts: CallFacts,
  fault: Fault | undefined,
): AuthorityAnswer | "reset" | undefined {
  if (fault === undefined || fault.kind === "slow" || fault.kind === "lost-answer") return undefined;
  const at = context.runtime.now();
  context.log.add({ ...facts, at, outcome: fault.kind, delivered: fault.kind !== "reset" });
  if (fault.kind === "reset") return "reset";
  const status = Number(fault.kind);
  const failure =
    status === 429
      ? new OAuthError("temporarily_unavailable", 50196, "The server has too many requests.", { status })
      : new OAuthError("server_error", 90033, "A transient error has occurred.", { status });
  const retryAfter =
    fault.retryAfterSeconds === undefined ? {} : { "retry-after": String(fault.retryAfterSeconds) };
  return jsonAnswer(status, errorBody(failure, at, undefined), retryAfter);
}

/** POST /{tenant}/oauth2/v2.0/devicecode (RFC 8628 section 3.1). */
export function deviceAuthorizationEndpoint(
  context: AuthorityContext,
  segment: string,
  request: AuthorityRequest,
): AuthorityAnswer {
  const params = new URLSearchParams(request.body);
  const at = context.runtime.now();
  const clientId = param(params, "client_id") ?? "";
  const scopes = splitScopes(param(params, "scope"));
  const call = {
    at,
    grant: "device_authorization",
    tenant: segment,
    clientId,
    scopes,
    delivered: true,
  } as const;
  try {
    tenantOf(context, segment);
    const app = context.directory.app(clientId);
    if (app === undefined)
      throw new OAuthError("unauthorized_client", 700016, "The application was not found.");
    readScopes(context.directory, scopes);
    const claims = param(params, "claims");
    const code = context.deviceCodes.issue({ clientId: app.clientId, segment, scopes, claims });
    context.issued.add(code.deviceCode);
    context.log.add({ ...call, outcome: "ok" });
    const verificationUri = `${context.baseUrl()}/${segment}/oauth2/v2.0/deviceauth`;
    const { deviceCodeSeconds, deviceCodeIntervalSeconds } = context.policy.lifetimes;
    return jsonAnswer(200, {
      user_code: code.userCode,
      device_code: code.deviceCode,
      verification_uri: verificationUri,
      expires_in: deviceCodeSeconds,
      interval: deviceCodeIntervalSeconds,
      message: `To sign in, open ${verificationUri} and enter the code ${code.userCode}.`,
    });
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    context.log.add({ ...call, outcome: error.error, errorNumber: error.number });
    return jsonAnswer(error.status, errorBody(error, at, undefined));
  }
}
