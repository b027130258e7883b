import { TokenkeepError } from "../errors.ts";
import type { SilentFlowRequest } from "../msal/types.ts";
import type { PartitionState } from "../partitions/partitions.ts";
import { answerOrRun, answerRequest, type Answering } from "./answer.ts";
import { answerFromState, inCache, type LeasedFlow } from "./cached-flow.ts";
import { leaseKey, type ClientContext } from "./context.ts";
import type { CacheAnswer } from "./lookup.ts";
import { nearExpiry, orNearExpiry } from "./near-expiry.ts";
import { renew } from "./renew.ts";
import { reasonOf, type Renewal } from "./renewal.ts";
import type { TokenResult } from "./result.ts";
import { silentFlow, subjectOf, type Silent } from "./silent-flow.ts";

/**
 * A token for a user who has signed in: from memory, from the store, or renewed. Throws MSAL's
 * `InteractionRequiredAuthError` where only the user can help, and a retryable `TokenkeepError` where the
 * store cannot answer just now.
 */
export function acquireTokenSilent(context: ClientContext, request: SilentFlowRequest): Promise<TokenResult> {
  return answerRequest(context, request, silentFlow, answering);
}

/**
 * The same for what has been prepared from a request of its own: also the partition of a long-running process is
 * renewed so.
 */
export function acquireSilently(context: ClientContext, silent: Silent): Promise<TokenResult> {
  return answerOrRun(context, silent, () => silent, answering);
}

const answering: Answering<ClientContext, Silent, TokenResult> = { work: acquire, leased };

/** How a token is renewed ahead of time. */
function leased(context: ClientContext, silent: Silent): LeasedFlow {
  return {
    api: "acquireTokenSilent",
    read: () => context.parts.partitions.read(silent.partition, { fresh: true }),
    ask: (renewal) => renew(context, silent, renewal),
  };
}

async function acquire(context: ClientContext, silent: Silent): Promise<TokenResult> {
  const { partitions } = context.parts;
  const read = (how?: { readonly fresh: true }): Promise<PartitionState> =>
    inCache(context, silent, () => partitions.read(silent.partition, how));
  let state = await read();
  let answer = answerFromState(context, silent, state);
  if (answer.result) return served(context, silent, answer.result);
  if (state.status === "absent") {
    // The reading may have been shared with somebody who came before the user signed in.
    state = await read({ fresh: true });
    answer = answerFromState(context, silent, state);
    if (answer.result) return served(context, silent, answer.result);
    // Nobody has signed in: there is nothing to renew or to wait for, and MSAL says so without a call.
    if (state.status === "absent") return renew(context, silent, unleased(state, answer));
  }
  /** Why the last look past L1 failed, if it did: what is known may be older than a sign-in elsewhere. */
  let unconfirmed: unknown;
  return context.leases.run({
    key: leaseKey(context, silent.partition, silent.names().leased),
    // Past L1: somebody else may have renewed the token already, or the user has signed in again.
    async recheck() {
      try {
        state = await read({ fresh: true });
        unconfirmed = undefined;
      } catch (error) {
        unconfirmed = error;
        throw error;
      }
      assertMaySpend(context, state);
      answer = answerFromState(context, silent, state);
      if (answer.result) return served(context, silent, answer.result);
      if (state.status === "present") return undefined;
      return renew(context, silent, unleased(state, answer));
    },
    whenStored: () => partitions.whenStored(silent.partition),
    // Who would have to wait for another process gets the old token while it is really valid.
    meanwhile: () => nearExpiry(context, silent, { state, reason: reasonOf(answer) }),
    work(guard) {
      const held = { state, reason: reasonOf(answer) };
      return orNearExpiry(context, silent, held, () =>
        renew(context, silent, { ...held, guard, unconfirmed }),
      );
    },
  });
}

/** A copy in memory may hold a refresh token that is spent; using it twice may end the user's session. */
function assertMaySpend(context: ClientContext, state: PartitionState): void {
  if (context.parts.refreshTokens === "reusable") return;
  if (state.status === "present" && state.level === "stale") {
    throw new TokenkeepError(
      "ERR_STORE_UNAVAILABLE",
      "the store cannot say whether the refresh token in memory is still unspent; nothing was spent",
      { retryable: true },
    );
  }
}

function unleased(state: PartitionState, answer: CacheAnswer): Renewal {
  return { state, reason: reasonOf(answer), guard: () => Promise.resolve() };
}

/** A hit past L1 is rare enough to be noted: when a worker or a web app acted for the account. */
async function served(context: ClientContext, silent: Silent, result: TokenResult): Promise<TokenResult> {
  if (result.metadata.cacheLevel === "L2") {
    const unchanged = { used: undefined, now: undefined, refreshed: false };
    await context.parts.activity.afterSuccess(subjectOf(context, silent), unchanged);
  }
  return result;
}
