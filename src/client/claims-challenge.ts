/** The largest challenge that is read; one with a few authentication contexts has under 1 KB. */
const MAX_LENGTH = 16_384;

/**
 * The claims that an API demands in the `WWW-Authenticate` header of a 401 (`error="insufficient_claims"`, as Entra
 * ID's continuous access evaluation and authentication contexts have it), decoded: hand it to
 * `acquireTokenSilent({ …, claims })` and call the API once more. `undefined` where the header makes no such demand.
 */
export function claimsChallenge(wwwAuthenticate: string | null | undefined): string | undefined {
  if (typeof wwwAuthenticate !== "string" || wwwAuthenticate.length > MAX_LENGTH) return undefined;
  for (const challenge of bearerChallenges(wwwAuthenticate)) {
    if (challenge.get("error") !== "insufficient_claims") continue;
    const claims = decoded(challenge.get("claims") ?? "");
    if (claims !== undefined) return claims;
  }
  return undefined;
}

/** The parameters of each `Bearer` challenge (RFC 9110 section 11.6.1), names in lower case. */
function bearerChallenges(header: string): Map<string, string>[] {
  const found: Map<string, string>[] = [];
  let current: Map<string, string> | undefined;
  // Either `name=value`, where the value may be quoted, or the name of a scheme, which has no `=`.
  for (const [, name = "", quoted, plain] of header.matchAll(PART)) {
    const value = quoted?.replace(/\\(.)/g, "$1") ?? plain;
    if (value !== undefined) current?.set(name.toLowerCase(), value);
    else if (name.toLowerCase() === "bearer") found.push((current = new Map()));
    else current = undefined;
  }
  return found;
}

const PART = /([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/g;

/** Base64 with or without padding, or as some APIs send it, the JSON itself. */
function decoded(claims: string): string | undefined {
  for (const text of [claims, Buffer.from(claims, "base64").toString("utf8")]) {
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === "object" && value !== null && !Array.isArray(value)) return text;
    } catch {
      // Not this form.
    }
  }
  return undefined;
}
