/** What a sign-in must remember between its two halves, sealed so that the browser may carry it. */
import type { Sealer } from "../envelope/sealer.ts";
import { OptionsError, TokenkeepError } from "../errors.ts";

/** One sign-in under way. */
export interface Flow {
  readonly id: string;
  /** OAuth `state` (RFC 6749 section 10.12). */
  readonly state: string;
  /** OpenID Connect `nonce` (Core section 15.5.2). */
  readonly nonce: string;
  /** PKCE code verifier (RFC 7636). */
  readonly verifier: string;
  readonly redirectUri: string;
  readonly scopes: readonly string[];
  readonly authority: string | undefined;
  readonly claims: string | undefined;
  /** Where the user was going; a path of this site. */
  readonly returnTo: string;
  readonly startedAtMs: number;
}

export interface FlowCodec {
  /** @throws {OptionsError} if no cookie could carry it */
  seal(flow: Flow): string;
  /**
   * @throws `ERR_FLOW_INVALID`, without saying why: whoever tampers learns nothing; retryable `ERR_KEY_UNKNOWN`
   * for a key id that is not here
   */
  open(text: string): Promise<Flow>;
}

/** A cookie holds 4,096 bytes with its name and attributes; a longer value was not made here. */
const MAX_TEXT_LENGTH = 3_900;

export function createFlowCodec(sealer: Sealer, namespace: string, clientId: string): FlowCodec {
  const context = { namespace, key: clientId, kind: "sign-in-flow" };
  return {
    seal(flow) {
      const bytes = sealer.seal(Buffer.from(JSON.stringify(flow)), context);
      const text = Buffer.from(bytes).toString("base64url");
      if (text.length > MAX_TEXT_LENGTH) {
        throw new OptionsError("beginSignIn", "has scopes, claims or a returnTo too long for a cookie");
      }
      return text;
    },
    async open(text) {
      if (typeof text !== "string" || text === "" || text.length > MAX_TEXT_LENGTH) throw invalidFlow();
      const opened = await sealer.openOrAsk(Buffer.from(text, "base64url"), context);
      if (opened.ok) return flowFrom(opened.plaintext.toString("utf8"));
      // Another node of a rolling deploy may have sealed it under a key that this one gets in a moment.
      if (opened.reason === "unknown-key") {
        throw new TokenkeepError("ERR_KEY_UNKNOWN", "the flow is sealed under a key id that is not here", {
          retryable: true,
        });
      }
      throw invalidFlow();
    },
  };
}

/** Authentic, and still perhaps another release's: what is not a flow as this one makes them is none. */
function flowFrom(text: string): Flow {
  try {
    const flow = JSON.parse(text) as Flow;
    const { id, state, nonce, verifier, redirectUri, returnTo, authority = "", claims = "" } = flow;
    const texts = [id, state, nonce, verifier, redirectUri, returnTo, authority, claims, ...flow.scopes];
    const isWhole = Array.isArray(flow.scopes) && Number.isFinite(flow.startedAtMs);
    // MSAL cannot send half a surrogate pair.
    const isText = (value: unknown): boolean => typeof value === "string" && value.isWellFormed();
    if (isWhole && texts.every(isText)) return flow;
  } catch {
    // The parser's own message would quote what was sealed.
  }
  throw invalidFlow();
}

export function invalidFlow(): TokenkeepError {
  return new TokenkeepError(
    "ERR_FLOW_INVALID",
    "the sign-in flow is missing or was not made by this application; begin a new sign-in",
  );
}
