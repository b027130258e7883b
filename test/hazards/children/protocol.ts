/** What a child process of a hazard is told, asks and reports. */
import type { AccountInfo, Configuration } from "@azure/msal-node";

export const SETTINGS_VARIABLE = "HAZARD_SETTINGS";
export const KEYS_VARIABLE = "HAZARD_KEYS";

export interface ChildSettings {
  readonly auth: Configuration["auth"];
  readonly account: AccountInfo;
  /** The file of tokenkeep's store; the vendor's half asks the parent, as it would a server. */
  readonly storePath?: string;
  readonly refreshTokens?: "reusable" | "one-time";
}

/** What to do. `each`: one after the other; `herd`: all at once, each with a client of its own. */
export interface Task {
  readonly how: "each" | "herd";
  readonly scopes: readonly (readonly string[])[];
}

export type ToChild =
  | { readonly type: "run"; readonly task: Task }
  | { readonly type: "answer"; readonly id: number; readonly value: string };

export type FromChild =
  | { readonly type: "ready" }
  /** All calls of a herd are on their way. */
  | { readonly type: "started" }
  /** A call to the shared store; `value` is there for a write. */
  | { readonly type: "store"; readonly id: number; readonly key: string; readonly value?: string }
  /** How many calls of the task ended in which way. */
  | { readonly type: "done"; readonly outcomes: Readonly<Record<string, number>> };
