/** Flows of public clients that wait for a person: minutes, in which the cache must be free to close. */
import type {
  AuthenticationResult,
  DeviceCodeRequest,
  InteractiveRequest,
  PublicClientApplication,
} from "../msal/types.ts";
import { checkedRequest } from "./client-options.ts";
import type { ClientContext } from "./context.ts";
import { create } from "./creation.ts";
import type { TokenResult } from "./result.ts";

type PublicContext = ClientContext<PublicClientApplication>;

/** Shows a code (RFC 8628), and polls until the user has typed it in somewhere else. */
export function acquireTokenByDeviceCode(
  context: PublicContext,
  request: DeviceCodeRequest,
): Promise<TokenResult> {
  const own = withLiveCancel(checkedRequest(request), request);
  return createWithPerson(context, own, (client) => client.acquireTokenByDeviceCode(own));
}

/** Opens a browser, and listens on loopback for the answer. */
export function acquireTokenInteractive(
  context: PublicContext,
  request: InteractiveRequest,
): Promise<TokenResult> {
  return createWithPerson(context, request, (client) => client.acquireTokenInteractive({ ...request }));
}

/** @throws `ERR_CLOSED` before anybody is asked for anything, or if the cache was closed while they took their time */
async function createWithPerson(
  context: PublicContext,
  request: DeviceCodeRequest | InteractiveRequest,
  work: (client: PublicClientApplication) => Promise<AuthenticationResult | null>,
): Promise<TokenResult> {
  const { run } = context.parts;
  await run(() => Promise.resolve());
  return create(context, request, work, run);
}

/**
 * MSAL changes the request it is given, so it gets a copy; but it also looks whether the caller has set `cancel`
 * on theirs meanwhile (`DeviceCodeClient.continuePolling`, msal-node 7.2.1).
 */
function withLiveCancel(own: DeviceCodeRequest, request: DeviceCodeRequest): DeviceCodeRequest {
  return Object.defineProperty(own, "cancel", {
    enumerable: true,
    get: () => request.cancel ?? false,
    set() {
      // MSAL writes back what it has read.
    },
  });
}
