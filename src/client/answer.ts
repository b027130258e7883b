/** How a flow with a cache answers: from memory at once, else by one piece of work for all who ask. */
import { answerFromMemory, shared, type CachedFlow, type LeasedFlow } from "./cached-flow.ts";
import type { ClientContext } from "./context.ts";
import { isDue, requestEarlyRefresh } from "./early-refresh.ts";
import type { TokenResult } from "./result.ts";

/**
 * An answer from memory is no operation that closing would have to wait for; anything else is. A token past its
 * refresh-on is the answer all the same, and is renewed in the background by what `leased` makes.
 */
export function answerOrRun<C extends ClientContext, F extends CachedFlow, R extends TokenResult | null>(
  context: C,
  flow: F,
  work: () => Promise<R>,
  leased: (context: C, flow: F) => LeasedFlow,
): Promise<R | TokenResult> {
  const hit = answerFromMemory(context, flow);
  if (hit?.result && context.parts.isOpen()) {
    if (hit.due) requestEarlyRefresh(context, flow, leased(context, flow));
    return Promise.resolve(hit.result);
  }
  return context.parts.run(async () => {
    const result = await shared(context, flow, work);
    if (isDue(result)) requestEarlyRefresh(context, flow, leased(context, flow));
    return result;
  });
}
