import { createHash } from "node:crypto";
import { OptionsError } from "../errors.ts";

/**
 * What a partition holds, and so how long it lives:
 * `user` one user's tokens; `app` the application's own; `obo` one assertion's; `long-running` an exchanged
 * assertion's under a key of its own; `session` one session's; `account` the list of a user's partitions; `flow`
 * the mark that a sign-in flow has been spent.
 */
export type PartitionKind = (typeof KINDS)[number];

const KINDS = ["user", "app", "obo", "long-running", "session", "account", "flow"] as const;

export function isPartitionKind(text: string): text is PartitionKind {
  return (KINDS as readonly string[]).includes(text);
}

/** The unit of isolation. Made by the named functions below, so that every door leads to the same place. */
export interface Partition {
  /** What the partition holds. */
  readonly kind: PartitionKind;
  /** The application's id. */
  readonly clientId: string;
  /** Canonical issuer: cloud environment for Entra ID, host and path elsewhere. See `issuerOf`. */
  readonly issuer: string;
  /** Canonical and unambiguous; the store key is this behind the namespace. */
  readonly id: string;
  /** The user's home account id, where the partition belongs to one. */
  readonly homeAccountId: string | undefined;
}

/** What every partition is made from: which application, and which authority it asks. */
export interface PartitionScope {
  readonly clientId: string;
  readonly issuer: string;
}

// Entra ID writes home account ids as two GUIDs, which compare without case; other providers' subjects do not.
const ENTRA_HOME_ACCOUNT_ID = /^[0-9a-f-]{36}\.[0-9a-f-]{36}$/i;

/** The form of a home account id that partition keys use. */
export function canonicalHomeAccountId(homeAccountId: string): string {
  return ENTRA_HOME_ACCOUNT_ID.test(homeAccountId) ? homeAccountId.toLowerCase() : homeAccountId;
}

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The form in which tokens name a tenant; portals and administrators write its GUID in either case. */
export function canonicalTenantId(tenantId: string): string {
  return GUID.test(tenantId) ? tenantId.toLowerCase() : tenantId;
}

/** One user of one application. On ADFS the subject is the `localAccountId`, which identifies a user there. */
export function userPartition(
  scope: PartitionScope,
  homeAccountId: string,
  subject: string = homeAccountId,
): Partition {
  const owner = canonicalHomeAccountId(requireText(homeAccountId, "homeAccountId"));
  return make("user", scope, [canonicalHomeAccountId(subject)], owner);
}

/** The application's own tokens in one tenant (client credentials). */
export function appPartition(scope: PartitionScope, tenantId: string): Partition {
  return make("app", scope, [requireText(tenantId, "tenantId").toLowerCase()], undefined);
}

/**
 * What one assertion was exchanged for (on-behalf-of) in one tenant, named as the authority names it: MSAL searches by
 * the assertion alone. The key holds the SHA-256 of both, never the assertion itself.
 */
export function oboPartition(scope: PartitionScope, assertion: string, tenant = "-"): Partition {
  const asked = `${requireText(tenant, "tenant").toLowerCase()}\n${requireText(assertion, "oboAssertion")}`;
  return make("obo", scope, [createHash("sha256").update(asked).digest("base64url")], undefined);
}

/**
 * A long-running process's tokens. The key of the process lets whoever has it act for the user, so that the
 * partition holds its SHA-256, never itself.
 */
export function longRunningPartition(scope: PartitionScope, processKey: string): Partition {
  const text = requireText(processKey, "longRunningProcessSessionKey");
  return make("long-running", scope, [createHash("sha256").update(text).digest("base64url")], undefined);
}

/** The list of one user's partitions, and when they last signed out everywhere. */
export function accountPartition(scope: PartitionScope, homeAccountId: string): Partition {
  const subject = canonicalHomeAccountId(requireText(homeAccountId, "homeAccountId"));
  return make("account", scope, [subject], subject);
}

/** The mark that a sign-in flow has been completed. */
export function flowPartition(scope: PartitionScope, flowId: string): Partition {
  return make("flow", scope, [requireText(flowId, "flowId")], undefined);
}

function make(
  kind: PartitionKind,
  scope: PartitionScope,
  subject: readonly string[],
  homeAccountId: string | undefined,
): Partition {
  const clientId = requireText(scope.clientId, "clientId");
  const issuer = requireText(scope.issuer, "issuer");
  const id = [kind, clientId, issuer, ...subject].map(escapePart).join(":");
  return Object.freeze({ kind, clientId, issuer, id, homeAccountId });
}

/** A partition from its stored id, as the account record lists them. */
export function partitionFromId(id: string, homeAccountId: string): Partition {
  const [kind, clientId, issuer] = id.split(":").map(decodeURIComponent);
  return Object.freeze({
    kind: kind as PartitionKind,
    clientId: clientId ?? "",
    issuer: issuer ?? "",
    id,
    homeAccountId,
  });
}

function escapePart(part: string): string {
  return encodeURIComponent(part.toWellFormed());
}

function requireText(value: unknown, name: string): string {
  if (typeof value !== "string" || value === "") throw new OptionsError(name, "must be a non-empty string");
  return value;
}
