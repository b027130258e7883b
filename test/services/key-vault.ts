/**
 * A stand-in for Azure Key Vault: the part of its REST API that wraps and unwraps, over TLS and with its
 * challenges, by real cryptography. https://learn.microsoft.com/rest/api/keyvault/keys
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { selfSignedCertificate } from "../oidc/certificate.ts";

export type VaultPermission = "get" | "wrapKey" | "unwrapKey";

/** What the vault does in place of answering. */
export type VaultFault =
  /** Breaks the connection. */
  | { readonly kind: "down" }
  /** Takes the request and says nothing. */
  | { readonly kind: "hangs" }
  /** This status, with the vault's code or with a page of HTML. */
  | { readonly kind: "status"; readonly status: number; readonly code?: string; readonly inner?: string }
  /** Does what it is asked, and sends an answer that breaks off: the key stands in what there is of it. */
  | { readonly kind: "half an answer" };

export interface KeyVault {
  /** `https://localhost:<port>` */
  readonly url: string;
  /** For `tlsOptions.ca`. */
  readonly ca: string;
  /** The access token that a credential must bring. */
  readonly token: string;
  /** Every call that was authorised: `GET name/version`, `unwrapkey name/version`, … */
  readonly calls: string[];
  readonly permissions: Set<VaultPermission>;
  fault: VaultFault | undefined;
  /** Of the next authorised calls, one each, before {@link KeyVault.fault}. */
  readonly faults: VaultFault[];
  /** Makes a key, or a new version of it. @returns the version */
  rotate(name: string, kind?: "RSA" | "oct-HSM"): string;
  /** Says of a version when it expires (seconds since the epoch), or that it is disabled. */
  setAttributes(name: string, version: string, attributes: VaultAttributes): void;
  close(): Promise<void>;
}

export interface VaultAttributes {
  readonly exp?: number;
  readonly enabled?: boolean;
}

interface Version {
  readonly version: string;
  readonly kind: "RSA" | "oct-HSM";
  readonly key: { readonly privateKey: KeyObject; readonly publicKey: KeyObject } | Buffer;
  attributes: VaultAttributes;
}

class VaultRefusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly inner: string | undefined;

  constructor(status: number, code: string, inner?: string) {
    super(code);
    this.status = status;
    this.code = code;
    this.inner = inner;
  }
}

const IV = Buffer.alloc(8, 0xa6); // RFC 3394

export async function startKeyVault(): Promise<KeyVault> {
  const keys = new Map<string, Version[]>();
  const { cert, key } = selfSignedCertificate();
  const vault: Omit<KeyVault, "url"> = {
    ca: cert,
    token: randomBytes(24).toString("base64url"),
    calls: [],
    permissions: new Set(["get", "wrapKey", "unwrapKey"]),
    fault: undefined,
    faults: [],
    rotate(name, kind = "RSA") {
      const version = randomBytes(16).toString("hex");
      const made = kind === "RSA" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : randomBytes(32);
      keys.set(name, [...(keys.get(name) ?? []), { version, kind, key: made, attributes: {} }]);
      return version;
    },
    setAttributes: (name, version, attributes) => void (find(keys, name, version).attributes = attributes),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const server = createServer({ cert, key }, (request, response) => {
    void answer({ vault: started, keys, request, response });
  });
  await new Promise<void>((resolve) => void server.listen(0, "localhost", resolve));
  const url = `https://localhost:${(server.address() as AddressInfo).port}`;
  const started: KeyVault = Object.assign(vault, { url });
  return started;
}

interface Exchange {
  readonly vault: KeyVault;
  readonly keys: ReadonlyMap<string, Version[]>;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function answer(exchange: Exchange): Promise<void> {
  const { vault, request, response } = exchange;
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const isAuthorised = request.headers.authorization === `Bearer ${vault.token}`;
  const fault = (isAuthorised ? vault.faults.shift() : undefined) ?? vault.fault;
  if (fault?.kind === "down") return void request.socket.destroy();
  if (fault?.kind === "hangs") return;
  if (fault?.kind === "status" && fault.code === undefined) {
    return void response.writeHead(fault.status, { "content-type": "text/html" }).end("<h1>Not now</h1>");
  }
  try {
    if (!isAuthorised) return challenge(response);
    if (fault?.kind === "status") throw new VaultRefusal(fault.status, fault.code!, fault.inner);
    const text = JSON.stringify(perform(exchange, Buffer.concat(chunks).toString("utf8")));
    const isHalf = fault?.kind === "half an answer" && request.method === "POST";
    response.writeHead(200, { "content-type": "application/json" }).end(isHalf ? text.slice(0, -2) : text);
  } catch (error) {
    const { status, code, inner } =
      error instanceof VaultRefusal ? error : new VaultRefusal(400, "BadParameter");
    const innererror = inner === undefined ? {} : { innererror: { code: inner } };
    response.writeHead(status, { "content-type": "application/json", "retry-after": "0" });
    response.end(JSON.stringify({ error: { code, message: "The operation failed.", ...innererror } }));
  }
}

/** The first answer to everybody, who must not have sent their request's content with it. */
function challenge(response: ServerResponse): void {
  const tenant = "https://login.microsoftonline.com/3b0a6d6f-0000-4000-8000-000000000000";
  response.writeHead(401, {
    "www-authenticate": `Bearer authorization="${tenant}", resource="https://vault.azure.net"`,
    "content-type": "application/json",
  });
  response.end(JSON.stringify({ error: { code: "Unauthorized", message: "AKV10000" } }));
}

function perform({ vault, keys, request }: Exchange, body: string): object {
  const path = new URL(request.url ?? "/", vault.url).pathname.split("/").filter((part) => part !== "");
  const operation = request.method === "GET" ? "GET" : path.pop()!;
  const [, name = "", version] = path;
  vault.calls.push(`${operation} ${[name, version].filter(Boolean).join("/")}`);
  const permission = operation === "GET" ? "get" : operation === "wrapkey" ? "wrapKey" : "unwrapKey";
  if (!vault.permissions.has(permission)) throw new VaultRefusal(403, "Forbidden", "ForbiddenByRbac");
  const found = find(keys, name, version);
  const kid = `${vault.url}/keys/${name}/${found.version}`;
  if (operation === "GET")
    return { key: publicPart(found, kid), attributes: { enabled: true, ...found.attributes } };
  if (found.attributes.enabled === false) throw new VaultRefusal(403, "Forbidden", "KeyDisabled");
  const expired = (found.attributes.exp ?? Infinity) * 1000 < Date.now();
  // "…unwrap and verify operations outside the nbf / exp window are allowed"
  if (expired && operation === "wrapkey") throw new VaultRefusal(403, "Forbidden", "KeyExpired");
  const { alg, value } = JSON.parse(body) as { readonly alg: string; readonly value: string };
  const bytes = Buffer.from(value, "base64url");
  return { kid, value: transform(found, operation, alg, bytes).toString("base64url") };
}

function find(keys: ReadonlyMap<string, Version[]>, name: string, version: string | undefined): Version {
  const versions = keys.get(name) ?? [];
  const found = version === undefined ? versions.at(-1) : versions.find((one) => one.version === version);
  if (found === undefined) throw new VaultRefusal(404, "KeyNotFound");
  return found;
}

function publicPart({ kind, key }: Version, kid: string): object {
  const part = Buffer.isBuffer(key) ? {} : key.publicKey.export({ format: "jwk" });
  return { ...part, kid, kty: kind, key_ops: ["wrapKey", "unwrapKey"] };
}

function transform({ key }: Version, operation: string, alg: string, bytes: Buffer): Buffer {
  if (Buffer.isBuffer(key)) {
    // A wrapped key is 8 bytes longer than what is wrapped, at least 16 (RFC 3394).
    const isTooShort = operation === "unwrapkey" && bytes.length < 24;
    if (alg !== "A256KW" || isTooShort) throw new VaultRefusal(400, "BadParameter");
    const make = operation === "wrapkey" ? createCipheriv : createDecipheriv;
    const cipher = make("id-aes256-wrap", key, IV);
    return Buffer.concat([cipher.update(bytes), cipher.final()]);
  }
  if (alg !== "RSA-OAEP-256") throw new VaultRefusal(400, "BadParameter");
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
  return operation === "wrapkey"
    ? publicEncrypt({ key: key.publicKey, ...padding }, bytes)
    : privateDecrypt({ key: key.privateKey, ...padding }, bytes);
}
