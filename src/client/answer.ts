/** How a flow with a cache answers: from memory at once, else by one piece of work for all who ask. */
import { answerFromMemory, shared, type CachedFlow, type LeasedFlow } from "./cached-flow.ts";
import { checkRequest, ownRequest } from "./client-options.ts";
import type { ClientContext } from "./context.ts";
import { isDue, requestEarlyRefresh } from "./early-refresh.ts";
import type { TokenResult } from "./result.ts";

/** What is done where memory does not answer. */
export interface Answering<C extends ClientContext, F extends CachedFlow, R extends TokenResult | null> {
  readonly work: (context: C, flow: F) => Promise<R>;
  /** How a token is renewed ahead of time. */
  readonly leased: (context: C, flow: F) => LeasedFlow;
}

/**
 * An answer from memory is no operation that closing would have to wait for; anything else is. A token past its
 * refresh-on is the answer all the same, and is renewed in the background.
 * @param own the flow of a request that nobody changes any more; who finds an answer, or somebody at it, needs none
 */
export function answerOrRun<C extends ClientContext, F extends CachedFlow, R extends TokenResult | null>(
  context: C,
  flow: F,
  own: () => F,
  { work, leased }: Answering<C, F, R>,
): Promise<R | TokenResult> {
  const hit = answerFromMemory(context, flow);
  if (hit?.result && context.parts.isOpen()) {
    if (hit.due) requestLater(context, own(), leased);
    return Promise.resolve(hit.result);
  }
  const { run, isOpen } = context.parts;
  if (!isOpen()) return run(() => work(context, flow));
  const operation = async (kept: F): Promise<R> => {
    const result = await work(context, kept);
    if (isDue(result)) requestLater(context, kept, leased);
    return result;
  };
  // Closing waits for the operation, whoever joins for its answer.
  return shared(context, flow, own, (kept) => run(() => operation(kept)));
}

/**
 * The same for a request as it was handed over: checked, and copied before anybody waits for it.
 * @param prepare the flow of a request
 */
export function answerRequest<
  C extends ClientContext,
  Q extends object,
  F extends CachedFlow,
  R extends TokenResult | null,
>(
  context: C,
  request: Q,
  prepare: (context: C, request: Q) => F,
  answering: Answering<C, F, R>,
): Promise<R | TokenResult> {
  try {
    checkRequest(request);
    const own = (): F => prepare(context, ownRequest(request));
    return answerOrRun(context, prepare(context, request), own, answering);
  } catch (error) {
    return Promise.reject(error as Error);
  }
}

function requestLater<C extends ClientContext, F extends CachedFlow>(
  context: C,
  flow: F,
  leased: (context: C, flow: F) => LeasedFlow,
): void {
  requestEarlyRefresh(context, flow, leased(context, flow));
}
