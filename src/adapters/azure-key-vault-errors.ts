/** What the vault's answers mean: decided, or only not now. */
import { TokenkeepError } from "../errors.ts";
import type { VaultKeyId } from "./azure-key-vault-id.ts";

export const PROVIDER = "azure-key-vault";

const CODE = /^[A-Za-z]{1,32}$/;

/** Of the network, not of the key: an address that is not allowed, a link that is missing. */
const NETWORK_CODES = new Set(["ForbiddenByFirewall", "ForbiddenByConnection"]);

/** The client's own judgement of a key that it has looked up. */
const UNUSABLE_KEY = /^Key \S+ (?:expired at|can't be used before) |^Operation \w+ is not supported on key /;

export function refused({ name }: VaultKeyId, problem: string): TokenkeepError {
  return new TokenkeepError("ERR_KEYS_REFUSED", `key provider ${PROVIDER}: key ${name}: ${problem}`);
}

/**
 * One of our errors where the vault has decided; anything else as it is, for a later try. The client's errors
 * hold the request with its access token, and, where an answer could not be read, that answer with the key.
 */
export function vaultError(error: unknown, id: VaultKeyId, operation: "wrapKey" | "unwrapKey"): unknown {
  if (error instanceof TokenkeepError) return error;
  const { statusCode, code, details, message } = (error ?? {}) as Record<string, unknown>;
  const inner = innerCode(details);
  if (inner !== undefined && NETWORK_CODES.has(inner)) return new NotReached(inner);
  if (statusCode === undefined && typeof message === "string" && UNUSABLE_KEY.test(message)) {
    return refused(id, `its newest version has expired, is not valid yet, or is not made for ${operation}`);
  }
  // Without a code of the vault's it is the answer of something in between.
  if (!isCode(code)) return error;
  const shown = [statusCode, code, ...(inner === undefined ? [] : [inner])].join(" ");
  if (statusCode === 403) {
    return refused(
      id,
      `the vault forbids keys/${operation} (${shown}); grant that permission, e.g. by the role ` +
        `"Key Vault Crypto Service Encryption User", and look whether the version is enabled`,
    );
  }
  if (statusCode === 404) return refused(id, `the vault has no such key or version (${shown})`);
  if (statusCode === 400) {
    return refused(
      id,
      `the vault cannot ${operation} this (${shown}); another key or algorithm has wrapped it`,
    );
  }
  return error;
}

/** The vault's firewall, or a missing private link. */
class NotReached extends Error {
  override readonly name = "NotReached";
  readonly code: string;
  readonly statusCode = 403;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** `error.innererror.code` of the vault's answer: the reason, where `error.code` says only "Forbidden". */
function innerCode(details: unknown): string | undefined {
  const { error } = (details ?? {}) as {
    readonly error?: { readonly innerError?: { readonly code?: unknown } };
  };
  const code = error?.innerError?.code;
  return isCode(code) ? code : undefined;
}

function isCode(value: unknown): value is string {
  return typeof value === "string" && CODE.test(value);
}
