/** What a process of these tests is told, and what it reports. */
import type { AccountInfo, Configuration } from "@azure/msal-node";

export const SETTINGS_VARIABLE = "RACE_SETTINGS";
export const KEYS_VARIABLE = "RACE_KEYS";

export interface MemberSettings {
  readonly auth: Configuration["auth"];
  readonly storePath: string;
  /** The store is this server instead of a file. */
  readonly redisUrl?: string | undefined;
  /** Of the client. Default: its own. */
  readonly requestTimeoutMs?: number;
  readonly role?: "web" | "worker";
  readonly refreshTokens?: "reusable" | "one-time";
  /** Where the process ends, as by a crash. */
  readonly crash?: CrashPoint;
}

/** Right before or right after the first call of its kind has taken effect. */
export interface CrashPoint {
  readonly operation: "lease acquire" | "lease release" | "put" | "activity put";
  readonly when: "before" | "after";
}

/** One silent call for each set of scopes: one after the other, or all at once. */
export interface Task {
  readonly how: "each" | "together";
  readonly account: Pick<
    AccountInfo,
    "homeAccountId" | "environment" | "tenantId" | "localAccountId" | "username"
  >;
  readonly scopes: readonly (readonly string[])[];
}

export type ToMember =
  /** The wall clock of the process moves; answered with `ready`, so that it serves as a barrier. */
  { readonly type: "pass"; readonly ms: number } | { readonly type: "run"; readonly task: Task };

export type FromMember =
  | { readonly type: "ready" }
  /** The calls of a task that are made at once are on their way. */
  | { readonly type: "started" }
  | { readonly type: "report"; readonly report: Report }
  /** The task is over; so many results wait for the store. */
  | { readonly type: "done"; readonly waiting: number };

/** What a caller was told. */
export interface Report {
  readonly scopes: readonly string[];
  /** `ok`, or the code of the error. */
  readonly outcome: string;
  readonly source?: "cache" | "identity-provider";
  readonly saved?: boolean;
  /** Names the access token, without giving it away. */
  readonly fingerprint?: string;
}
