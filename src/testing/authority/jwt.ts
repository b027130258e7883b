/** RS256 JSON Web Tokens and their keys: just what an authority and the APIs behind it need. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from "node:crypto";

/** A public RSA key as published under `/discovery/v2.0/keys` (RFC 7517). */
export interface PublicJwk {
  /** Kind of key. */
  readonly kty: "RSA";
  /** What it is for. */
  readonly use: "sig";
  /** How it signs. */
  readonly alg: "RS256";
  /** Names the key in a token's header. */
  readonly kid: string;
  /** Modulus, base64url. */
  readonly n: string;
  /** Exponent, base64url. */
  readonly e: string;
}

/** The document under `/discovery/v2.0/keys`. */
export interface Jwks {
  /** The keys in use, also those that only verify. */
  readonly keys: readonly PublicJwk[];
}

/** A key that signs. */
export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly jwk: PublicJwk;
}

/** Claims, unchecked. */
export type Claims = Readonly<Record<string, unknown>>;

/** A token taken apart; nothing of it has been checked but its form. */
export interface DecodedJwt {
  readonly header: Claims;
  readonly claims: Claims;
  readonly signingInput: string;
  readonly signature: Uint8Array;
}

/** The key in `pem`, or a new one of 2048 bits; its id is the RFC 7638 thumbprint. */
export function createSigningKey(pem?: string): SigningKey {
  const privateKey =
    pem === undefined
      ? generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey
      : createPrivateKey(pem);
  const publicKey = createPublicKey(privateKey);
  const { n = "", e = "" } = publicKey.export({ format: "jwk" });
  const kid = createHash("sha256")
    .update(JSON.stringify({ e, kty: "RSA", n }))
    .digest("base64url");
  return { kid, privateKey, publicKey, jwk: { kty: "RSA", use: "sig", alg: "RS256", kid, n, e } };
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A signed token. */
export function signJwt(key: SigningKey, claims: Claims): string {
  const input = `${encode({ typ: "JWT", alg: "RS256", kid: key.kid })}.${encode(claims)}`;
  return `${input}.${sign("sha256", Buffer.from(input), key.privateKey).toString("base64url")}`;
}

/** Takes a token apart; undefined when it is not one. */
export function decodeJwt(token: string): DecodedJwt | undefined {
  const [header, claims, signature, ...rest] = token.split(".");
  if (header === undefined || claims === undefined || signature === undefined || rest.length > 0) {
    return undefined;
  }
  const headerObject = decodeObject(header);
  const claimsObject = decodeObject(claims);
  const signatureBytes = decodeBase64url(signature);
  if (headerObject === undefined || claimsObject === undefined || signatureBytes === undefined) {
    return undefined;
  }
  return {
    header: headerObject,
    claims: claimsObject,
    signingInput: `${header}.${claims}`,
    signature: signatureBytes,
  };
}

/** Whether `publicKey` signed the token by RS256 (RFC 7518 section 3.3). The caller has checked `alg`. */
export function verifyRs256(token: DecodedJwt, publicKey: KeyObject): boolean {
  return verify("sha256", Buffer.from(token.signingInput), publicKey, token.signature);
}

// Node decodes base64url leniently; two spellings of one signature must not both be accepted.
function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

function decodeObject(text: string): Claims | undefined {
  const bytes = decodeBase64url(text);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Claims)
      : undefined;
  } catch {
    return undefined;
  }
}
