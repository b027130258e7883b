import type { AccountRef } from "../activity/account-ref.ts";
import { TokenkeepError } from "../errors.ts";

/** What tokenkeep keeps in a session: under 2.7 KB while signing in, about 250 bytes after it. */
export interface SignInSession {
  /** Set between the two halves of a sign-in; more than one if the user began in more than one tab. */
  flows?: string[];
  /** Set once signed in. */
  account?: AccountRef;
  /** Everybody who is signed in, the active account first, where there are several (`severalAccounts`). */
  accounts?: AccountRef[];
  /** The page whose visit last led to a sign-in because its token could not be renewed. */
  challenged?: string;
  /** Set once that page has been visited again: if it is visited once more, it has worked. */
  cameBack?: boolean;
}

/** A loaded session. iron-session's fits as it is; for others write these two methods. */
export interface SessionHandle extends SignInSession {
  /** Writes the session; with a server-side one gives it a new id if `account` has changed. */
  save(): Promise<void> | void;
  /** Ends the session. */
  destroy(): Promise<void> | void;
}

/** A browser's cookie holds 4,096 bytes, and a sealed session grows by half. */
const MAX_FLOWS_LENGTH = 2_400;
const MAX_FLOWS = 3;

/** Adds a sign-in that has begun; the oldest give way. */
export function addFlow(session: SignInSession, flow: string): void {
  const flows = [...(session.flows ?? []), flow].slice(-MAX_FLOWS);
  while (flows.length > 1 && flows.join("").length > MAX_FLOWS_LENGTH) flows.shift();
  session.flows = flows;
}

const REPEATS = new Set([
  "ERR_FLOW_INVALID",
  "ERR_FLOW_EXPIRED",
  "ERR_FLOW_REPLAYED",
  "ERR_STATE_MISMATCH",
  "ERR_CODE_REDEEMED",
]);

/** A redirect that was handled before: a reload, the back button, a double click. */
export function isRepeat(error: unknown): boolean {
  return error instanceof TokenkeepError && REPEATS.has(error.code);
}
