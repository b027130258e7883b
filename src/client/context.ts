import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { AccountRef } from "../activity/account-ref.ts";
import type { ActivitySubject } from "../activity/activity.ts";
import { classifyFailure } from "../activity/outcome.ts";
import type { ClientRole, CredentialMove } from "../activity/row.ts";
import { findRefreshToken } from "../blob/lookup.ts";
import { isRetryable } from "../errors.ts";
import type { Leases } from "../partitions/lease.ts";
import type { PartitionState } from "../partitions/partitions.ts";
import { environmentAliases } from "../blob/environments.ts";
import { fingerprint } from "../blob/provenance.ts";
import { parseAuthority, type Authority } from "../msal/issuer.ts";
import type { OperationSettings } from "../msal/operation.ts";
import type { ConfidentialClientApplication, Configuration, MsalClient } from "../msal/types.ts";
import { userPartition, type Partition, type PartitionScope } from "../partitions/partition.ts";
import type { TokenRecord } from "../partitions/record.ts";
import type { CacheParts } from "../cache-parts.ts";
import type { EarlyRefreshes } from "./early-refresh.ts";
import type { CacheAnswers } from "./lookup.ts";
import type { Subjects } from "./subjects.ts";
import type { TenantGate } from "./tenants.ts";

/** What every flow of one client works with. */
export interface ClientContext<C extends MsalClient = MsalClient> {
  /** The same for clients of one cache that answer alike: their callers may share an answer. */
  readonly settingsName: string;
  readonly parts: CacheParts;
  readonly auth: Configuration["auth"];
  /** Reads an authority; remembered, because every request names one. */
  readonly authority: (request: AuthorityRequest) => Authority;
  /** What a request's account means; remembered for as long as the account object lives. */
  readonly subjects: Subjects;
  /** Makes a user's partition; those used of late are remembered. */
  readonly userPartitions: UserPartitions;
  readonly answers: CacheAnswers;
  readonly role: ClientRole;
  readonly settings: () => OperationSettings<C>;
  readonly leases: Leases;
  readonly earlyRefreshes: EarlyRefreshes;
  /** Whether a token in its last minutes answers where the provider does not. */
  readonly serveNearExpiry: boolean;
  /** Asked before anything of a user is stored; absent: everybody is served. */
  readonly tenantGate: TenantGate | undefined;
  /** Authorities that have just failed, and until when they count as down (monotonic, ms). */
  readonly outages: LRUCache<string, number>;
}

/** What the flows work with that only an application with a credential of its own has. */
export type ConfidentialContext = ClientContext<ConfidentialClientApplication>;

/** The parts of a request that say which authority is asked. */
export interface AuthorityRequest {
  readonly authority?: string | undefined;
  readonly azureCloudOptions?: Configuration["auth"]["azureCloudOptions"] | undefined;
}

const REMEMBERED_AUTHORITIES = 1_000;

/** {@link userPartition} with a memory. */
export type UserPartitions = (authority: Authority, homeAccountId: string, subject: string) => Partition;

const REMEMBERED_PARTITIONS = 10_000;

export function createUserPartitions(clientId: string): UserPartitions {
  const remembered = new WeakMap<Authority, LRUCache<string, Partition>>();
  return (authority, homeAccountId, subject) => {
    let known = remembered.get(authority);
    if (!known) remembered.set(authority, (known = new LRUCache({ max: REMEMBERED_PARTITIONS })));
    const name = subject === homeAccountId ? homeAccountId : `${homeAccountId}\n${subject}`;
    let partition = known.get(name);
    if (!partition) {
      partition = userPartition({ clientId, issuer: authority.issuer }, homeAccountId, subject);
      known.set(name, partition);
    }
    return partition;
  };
}

/** The authority a request goes to: its own, else the client's. */
export function createAuthorityReader(
  auth: Configuration["auth"],
  protocolMode: NonNullable<Configuration["system"]>["protocolMode"],
): ClientContext["authority"] {
  const known = new Map<string, Authority>();
  return (request) => {
    const authority = request.authority ?? auth.authority;
    const azureCloudOptions = request.azureCloudOptions ?? auth.azureCloudOptions;
    const cloud = azureCloudOptions
      ? ` ${azureCloudOptions.azureCloudInstance} ${azureCloudOptions.tenant ?? ""}`
      : "";
    const name = `${authority ?? ""}${cloud}`;
    let parsed = known.get(name);
    if (!parsed) {
      parsed = parseAuthority({ authority, azureCloudOptions, protocolMode });
      if (known.size >= REMEMBERED_AUTHORITIES) known.clear();
      known.set(name, parsed);
    }
    return parsed;
  };
}

export function scopeOf(context: ClientContext, authority: Authority): PartitionScope {
  return { clientId: context.auth.clientId, issuer: authority.issuer };
}

/** Where a user's tokens lie; ADFS has no `client_info` and knows users by their local account id. */
export function partitionOf(
  context: ClientContext,
  authority: Authority,
  account: Pick<AccountRef, "homeAccountId" | "localAccountId">,
): Partition {
  return context.userPartitions(authority, account.homeAccountId, userSubject(authority, account));
}

export function userSubject(
  authority: Authority,
  { homeAccountId, localAccountId }: Pick<AccountRef, "homeAccountId" | "localAccountId">,
): string {
  return authority.isAdfs ? localAccountId || homeAccountId : homeAccountId;
}

export function activitySubject(
  context: ClientContext,
  partition: Partition,
  account: AccountRef,
  request: object,
): ActivitySubject {
  return {
    accountKey: context.parts.partitions.key(partition),
    clientId: context.auth.clientId,
    account,
    role: context.role,
    request,
  };
}

/** The refresh token a record would be renewed with. */
export function refreshTokenOf(
  context: ClientContext,
  record: TokenRecord,
  account: Pick<AccountRef, "homeAccountId" | "environment">,
): ReturnType<typeof findRefreshToken> {
  return findRefreshToken(record.blob, {
    homeAccountId: account.homeAccountId,
    environments: environmentAliases(account.environment),
    clientId: context.auth.clientId,
  });
}

/** Its fingerprint: what an outcome is attributed to. */
export function credentialOf(
  context: ClientContext,
  record: TokenRecord | undefined,
  account: Pick<AccountRef, "homeAccountId" | "environment">,
): string | undefined {
  const found = record && refreshTokenOf(context, record, account);
  return found && fingerprint(found.token.secret);
}

/** Benches an account, or not, for a failed acquisition. */
export async function recordFailure(
  context: ClientContext,
  subject: ActivitySubject,
  error: unknown,
  move: CredentialMove,
): Promise<void> {
  const outcome = classifyFailure(error);
  if (outcome) await context.parts.activity.afterFailure(subject, outcome, move);
}

/** For flows whose input still buys a token where the store cannot answer: that costs one call, no person's time. */
export async function readOrGoOn(
  context: ClientContext,
  partition: Partition,
  how: { readonly fresh?: boolean } = {},
): Promise<PartitionState> {
  try {
    return await context.parts.partitions.read(partition, how);
  } catch (error) {
    if (isRetryable(error)) return { status: "absent" };
    throw error;
  }
}

/** Whether a request has only fields that change nothing about which cached token answers it. */
export function hasOnly(request: object, fields: ReadonlySet<string>): boolean {
  return Object.entries(request).every(([name, value]) => value === undefined || fields.has(name));
}

/**
 * What a lease is named after: the partition and the request; in one-time mode the partition alone, because
 * every request of it spends the same refresh token. Hashed: lease names lie in the store in clear.
 */
export function leaseKey(context: ClientContext, partition: Partition, request: string): string {
  const name = context.parts.refreshTokens === "one-time" ? "" : request;
  const hash = createHash("sha256").update(`${context.parts.partitions.key(partition)}\n${name}`);
  return `${context.parts.namespace}:lease:${hash.digest("base64url")}`;
}
