/**
 * Data keys wrapped by Azure Key Vault or Managed HSM, through the `CryptographyClient` of
 * `@azure/keyvault-keys`, which the application makes with its own credential.
 */
import { checkOptionNames, checkedChoice, checkedFunction } from "../checks.ts";
import type { KeyWrapper, KeyWrapperCall, UnwrapCall, WrapAnswer } from "../envelope/key-wrapper.ts";
import { OptionsError } from "../errors.ts";
import { parseVaultKeyId, vaultKey } from "./azure-key-vault-id.ts";
import type { VaultKey, VaultKeyId } from "./azure-key-vault-id.ts";
import { PROVIDER, refused, vaultError } from "./azure-key-vault-errors.ts";

export type { VaultKey } from "./azure-key-vault-id.ts";

/** `RSA-OAEP-256` for an RSA key, `A256KW` for an AES key of Managed HSM. */
export type VaultWrapAlgorithm = "RSA-OAEP-256" | "A256KW";

/** What is used of a `CryptographyClient`. */
export interface VaultCryptographyClient {
  /** Encrypts a key under the vault's. */
  wrapKey(algorithm: VaultWrapAlgorithm, key: Uint8Array, options?: VaultCall): Promise<VaultAnswer>;
  /** Decrypts it again. */
  unwrapKey(algorithm: VaultWrapAlgorithm, key: Uint8Array, options?: VaultCall): Promise<VaultAnswer>;
}

/** The options of a call that are used. */
export interface VaultCall {
  /** Ends the call. */
  abortSignal?: AbortSignal;
}

/** What a call answers, as far as it is used. */
export interface VaultAnswer {
  /** The wrapped, or the unwrapped, key. */
  result: Uint8Array;
  /** The key that was used, with its version. */
  keyID?: string;
}

/** The options of {@link azureKeyVault}. */
export interface AzureKeyVaultOptions {
  /**
   * The wrapping key: `https://<vault>.vault.azure.net/keys/<name>`. With `/<version>` new keys are wrapped
   * under that version; without, under the newest, which needs the permission `keys/get` to find out.
   */
  readonly keyId: string;
  /**
   * Makes a client: `(key) => new CryptographyClient(key, credential)`. Called once for each version of the key,
   * and for each wrapping that has to find out the newest.
   */
  readonly client: (key: string | VaultKey) => VaultCryptographyClient;
  /** Default `RSA-OAEP-256`. All keys of a ring are wrapped by one. */
  readonly algorithm?: VaultWrapAlgorithm;
}

const KNOWN_OPTIONS = new Set(["keyId", "client", "algorithm"]);

/**
 * A key wrapper for `keysFromWrapped` and `newWrappedKey`. Unwrapping needs the permission `keys/unwrapKey` and
 * nothing else.
 *
 * A wrapped key remembers the version of the vault's key, so that it can be unwrapped after the vault has
 * rotated it. Throws {@link OptionsError}.
 */
export function azureKeyVault(options: AzureKeyVaultOptions): KeyWrapper {
  const given: Partial<AzureKeyVaultOptions> = options ?? {};
  checkOptionNames(given, KNOWN_OPTIONS, "azureKeyVault");
  const id = parseVaultKeyId(given.keyId);
  if (id === undefined) {
    throw new OptionsError(
      "keyId",
      "must be https://<vault>/keys/<name> or https://<vault>/keys/<name>/<version>",
    );
  }
  const makeClient = checkedFunction(given.client, "client");
  if (makeClient === undefined) throw new OptionsError("client", "must be a function that makes a client");
  const algorithm = checkedChoice(given.algorithm, "algorithm", ["RSA-OAEP-256", "A256KW"]);
  return Object.freeze(keyWrapper(id, makeClient, algorithm));
}

function keyWrapper(
  id: VaultKeyId,
  makeClient: AzureKeyVaultOptions["client"],
  algorithm: VaultWrapAlgorithm,
): KeyWrapper {
  const clients = new Map<string, VaultCryptographyClient>();

  /** By a key that says nothing but its name: given an id, the client would look the key up first, and would
   * then not unwrap under a version that has expired, which the vault itself does. */
  function clientOf(version: string): VaultCryptographyClient {
    const client = clients.get(version) ?? makeClient(vaultKey(id, version));
    clients.set(version, client);
    return client;
  }

  /** The client looks the newest version up, but wraps under the one that is newest by then: so what it wraps
   * here is of no use, and the answer only says which version to wrap under. A used client does not look again. */
  async function newestVersion(abortSignal: AbortSignal): Promise<string> {
    const { keyID } = await makeClient(`${id.vaultUrl}/keys/${id.name}`).wrapKey(
      algorithm,
      new Uint8Array(32),
      { abortSignal },
    );
    const version = parseVaultKeyId(keyID)?.version;
    if (version !== undefined) return version;
    throw refused(id, "the newest version cannot be found out; grant keys/get, or name the version in keyId");
  }

  return {
    name: PROVIDER,
    async wrap(dataKey: Uint8Array, { signal }: KeyWrapperCall): Promise<WrapAnswer> {
      try {
        const version = id.version ?? (await newestVersion(signal));
        const { result } = await clientOf(version).wrapKey(algorithm, dataKey, { abortSignal: signal });
        return { wrapped: result, keyVersion: version };
      } catch (error) {
        throw vaultError(error, id, "wrapKey");
      }
    },
    async unwrap(wrapped: Uint8Array, { keyVersion, signal }: UnwrapCall): Promise<Uint8Array> {
      // It becomes part of an address.
      if (parseVaultKeyId(`${id.vaultUrl}/keys/${id.name}/${keyVersion}`)?.version !== keyVersion) {
        throw refused(id, "what a wrapped key gives for its version is none");
      }
      try {
        const client = clientOf(keyVersion);
        return (await client.unwrapKey(algorithm, wrapped, { abortSignal: signal })).result;
      } catch (error) {
        throw vaultError(error, id, "unwrapKey");
      }
    },
  };
}
