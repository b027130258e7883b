import { checkedPositive, checkObject, checkOptionNames, checkText, checkTexts } from "../checks.ts";
import { OptionsError } from "../errors.ts";
import type { BeginSignIn, CompleteSignIn, SignInOptions } from "./sign-in.ts";

const DEFAULT_FLOW_TTL_MS = 600_000;
const KNOWN_OPTIONS = new Set(["client", "redirectUri", "scopes", "flowTtlMs"]);
const TEXTS = ["prompt", "loginHint", "domainHint", "claims", "authority"] as const;
const REQUEST = new Set<string>(["returnTo", "scopes", "extraScopesToConsent", ...TEXTS]);

/** The options with their defaults. @throws {OptionsError} naming the option */
export function resolveSignInOptions(options: SignInOptions): Required<SignInOptions> {
  checkOptionNames(options, KNOWN_OPTIONS, "createSignIn");
  const { client, redirectUri, scopes = [], flowTtlMs } = options;
  checkClient(client);
  if (typeof redirectUri !== "string" || !URL.canParse(redirectUri)) {
    throw new OptionsError("redirectUri", "must be an absolute URL");
  }
  checkTexts(scopes, "scopes");
  return {
    client,
    redirectUri,
    scopes,
    flowTtlMs: checkedPositive(flowTtlMs, "flowTtlMs", DEFAULT_FLOW_TTL_MS),
  };
}

/** MSAL's own client has the same methods, and another token cache. */
function checkClient(client: Partial<SignInOptions["client"]> | undefined): void {
  const source = "what createConfidentialClient(…) returns";
  if (client === undefined) throw new OptionsError("client", `is missing: pass ${source}`);
  checkObject(client, "client");
  if (typeof client.tokenCache?.accounts !== "function")
    throw new OptionsError("client", `must be ${source}`);
}

/** What `returnTo` holds may come from the browser, and is checked as such. @throws {OptionsError} */
export function checkBeginSignIn(request: BeginSignIn): void {
  checkOptionNames(request, REQUEST, "beginSignIn", "request");
  checkTexts(request.scopes, "request.scopes");
  checkTexts(request.extraScopesToConsent, "request.extraScopesToConsent");
  for (const name of TEXTS) checkText(request[name], `request.${name}`);
}

/** What is in it comes from the browser: that it is wrong is no mistake of the application's. */
export function checkCompleteSignIn(request: CompleteSignIn): void {
  checkObject(request, "request");
}
