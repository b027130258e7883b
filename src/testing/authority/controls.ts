/** The levers of a local authority: what a test or a demonstration changes while it runs. */
import { OptionsError } from "../../errors.ts";
import { decideDeviceCode } from "./browser-endpoints.ts";
import type { AuthorityContext } from "./context.ts";
import type { Person } from "./directory.ts";
import type { FaultOptions } from "./faults.ts";
import { createSigningKey } from "./jwt.ts";
import type { AuthorityLifetimes, RefreshTokenMode } from "./options.ts";
import type { ClaimsDemand } from "./policy.ts";
import { readScopes } from "./scopes.ts";

/** A sign-in or exchange whose refresh tokens the authority knows. */
export interface GrantInfo {
  /** Names the grant to the other controls. */
  readonly id: string;
  /** The application it was given to. */
  readonly clientId: string;
  /** Sign-in name. */
  readonly user: string;
  /** GUID. */
  readonly tenant: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
  /** True if its refresh tokens are refused. */
  readonly revoked: boolean;
}

/** Everywhere, `user` is a sign-in name or object id; one that is not known is an `OptionsError`. */
export interface AuthorityControls {
  /** From the next answer on; lifetimes left out stay as they are. */
  setLifetimes(lifetimes: Partial<AuthorityLifetimes>): void;
  /** Applies at once, also to refresh tokens issued before. */
  setRefreshTokens(mode: RefreshTokenMode, rollingGraceMs?: number): void;
  /**
   * Ends all sign-ins of the user: refresh tokens, codes and exchanges answer `invalid_grant` with
   * AADSTS50173, and browsers are signed out. Access tokens already issued stay valid. Gives their number.
   */
  revokeUser(user: string): number;
  /** The same for one sign-in; `calls[].grantId` and {@link AuthorityControls.grants} name it. */
  revokeGrant(grantId: string): boolean;
  /** Sign-ins and exchanges so far that can still have live tokens. */
  grants(filter?: { readonly user?: string; readonly clientId?: string }): readonly GrantInfo[];
  /** Until the user signs in for it, tokens with this scope (`.default`: each of the API) answer AADSTS65001. */
  requireConsent(user: string, scope: string): void;
  /**
   * Token requests for the user answer `interaction_required` with these claims (JSON) until a request carries
   * them; with `until: "sign-in"` only a sign-in at the authorize endpoint will do.
   */
  requireClaims(user: string, claims: string, options?: { readonly until?: ClaimsDemand["until"] }): void;
  /** Makes the next matching calls to the token endpoint fail. */
  failNext(fault: FaultOptions): void;
  /** Replaces a client secret; the old one stops working at once. */
  rotateSecret(clientId: string, clientSecret: string): void;
  /** Signs with a new key from now on. The old one stays published. */
  rotateSigningKey(): void;
  /** Holds calls to the token endpoint back before anything happens to them. */
  pause(): void;
  /** Lets them go on. */
  resume(): void;
  /** Resolves when at least `count` calls are held. */
  whenHeld(count: number): Promise<void>;
  /** The user types the code in and agrees. False if no device waits for it. */
  approveDeviceCode(userCode: string, user: string): boolean;
  /** The user declines. False if no device waits for it. */
  declineDeviceCode(userCode: string): boolean;
  /** Empties the call log, forgets faults and ends a pause. Sign-ins, demands and secrets stay. */
  reset(): void;
}

/** The controls of one authority. */
export function createControls(context: AuthorityContext): AuthorityControls {
  const { policy, grants, faults, directory } = context;
  const find = (user: string): Person => {
    const person = directory.person(user);
    if (person === undefined) throw new OptionsError("user", "is not known to this authority");
    return person;
  };
  return {
    setLifetimes: (lifetimes) => policy.setLifetimes(lifetimes),
    setRefreshTokens: (mode, rollingGraceMs) => policy.setRefreshTokens(mode, rollingGraceMs),
    revokeUser(user) {
      const person = find(user);
      context.sessions.forget(person.username);
      return grants.revoke((grant) => grant.person === person);
    },
    revokeGrant: (grantId) => grants.revoke((grant) => grant.id === grantId) > 0,
    grants: (filter = {}) => listGrants(context, filter),
    requireConsent(user, scope) {
      const [asked] = readScopes(directory, [scope]).api;
      if (asked === undefined) throw new OptionsError("scope", "must be a scope of an API");
      policy.requireConsent(find(user), asked);
    },
    requireClaims: (user, claims, options = {}) =>
      policy.requireClaims(find(user), { claims, until: options.until ?? "request" }),
    failNext(fault) {
      const user = fault.user === undefined ? {} : { user: find(fault.user).username };
      faults.failNext({ ...fault, ...user });
    },
    rotateSecret(clientId, clientSecret) {
      directory.replaceSecret(clientId, clientSecret);
      context.issued.add(clientSecret);
    },
    rotateSigningKey: () => void context.signingKeys.unshift(createSigningKey()),
    pause: () => faults.pause(),
    resume: () => faults.resume(),
    whenHeld: (count) => faults.whenHeld(count),
    approveDeviceCode: (userCode, user) => decideDeviceCode(context, userCode, find(user).username),
    declineDeviceCode: (userCode) => decideDeviceCode(context, userCode, undefined),
    reset() {
      context.log.clear();
      faults.clear();
    },
  };
}

function listGrants(
  context: AuthorityContext,
  filter: { readonly user?: string; readonly clientId?: string },
): readonly GrantInfo[] {
  const person = filter.user === undefined ? undefined : context.directory.person(filter.user);
  return context.grants
    .list()
    .filter((grant) => filter.user === undefined || grant.person === person)
    .filter((grant) => filter.clientId === undefined || grant.clientId === filter.clientId)
    .map((grant) => ({
      id: grant.id,
      clientId: grant.clientId,
      user: grant.person.username,
      tenant: grant.tenant.tenantId,
      createdAt: grant.createdAt,
      revoked: grant.revoked !== undefined,
    }));
}
