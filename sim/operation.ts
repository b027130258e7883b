/** One thing somebody asked of a node, and what became of it: what the checker reads. */
import type { AccountRef } from "../src/activity/account-ref.ts";
import type { Process } from "./process.ts";

type OperationKind =
  | "sign-in"
  | "silent"
  | "step-up"
  | "force"
  | "obo"
  | "job-begin"
  | "job-resume"
  | "job-stop"
  | "app"
  | "sign-out"
  | "sign-out-everywhere"
  | "browser-sign-out"
  | "accounts";

export interface Operation {
  readonly id: number;
  readonly kind: OperationKind;
  readonly process: Process;
  readonly user: string | undefined;
  /** The registration that acts: the web application or the API behind it. */
  readonly app: "web" | "api";
  readonly scopes: readonly string[];
  readonly tenantId: string;
  readonly correlationId: string;
  /** On-behalf-of: what was exchanged. */
  readonly assertion?: string;
  /** Long-running processes: their key. */
  readonly jobKey?: string;
  /** Virtual ms. */
  readonly begin: number;
  /** When the call began whose answer this one shares, its own or one that was running. */
  readonly flightBegin: number;
  end: number | undefined;
  state: "running" | "ok" | "failed" | "crashed";
  /** The access token that was answered. */
  accessToken?: string;
  account?: AccountRef | undefined;
  saved?: boolean;
  nearExpiry?: boolean;
  fromCache?: boolean;
  cacheLevel?: "none" | "L1" | "L2" | "stale";
  error?: unknown;
  signedOut?: { readonly status: "done" | "pending"; readonly durable: boolean };
  /** Requests to the token endpoint made for it. */
  readonly calls: ProviderCall[];
}

/** One request that reached the identity provider. */
export interface ProviderCall {
  /** When it arrived, virtual ms. */
  readonly at: number;
  readonly sentAt: number;
  /** When the answer was there; undefined until then, and if it never was. */
  receivedAt: number | undefined;
  /** How long the provider has asked to be left alone, ms; 0 if it has not. */
  retryAfterMs: number;
  /** The same for two requests that ask for the same with the same. */
  readonly name: string;
  /** Who asks which endpoint. */
  readonly client: string;
  readonly grant: string;
  readonly process: Process;
  readonly operation: Operation | undefined;
  readonly refreshToken: string | undefined;
  readonly claims: boolean;
  readonly scope: string;
  outcome: string;
  /** False: the answer never reached the caller. */
  delivered: boolean;
  accessToken?: string;
  newRefreshToken?: string;
}

/** The name of an operation in histories. */
export function nameOf(operation: Operation): string {
  const what = [operation.kind, operation.user, operation.scopes.join("+")].filter(Boolean).join(" ");
  return `#${operation.id} ${what}`;
}
