/** The ids of keys in Azure Key Vault and Managed HSM. */

/** `https://<vault>/keys/<name>[/<version>]`, taken apart. */
export interface VaultKeyId {
  readonly vaultUrl: string;
  readonly name: string;
  readonly version: string | undefined;
}

/** A `KeyVaultKey` of `@azure/keyvault-keys` that says which key it is, and nothing of what it is like. */
export interface VaultKey {
  /** The key's URL, with its version. */
  id: string;
  /** The key's name. */
  name: string;
  /** The same, taken apart. */
  properties: { id: string; name: string; vaultUrl: string; version: string };
}

const KEY_ID = /^(https:\/\/[a-z0-9.-]+(?::\d+)?)\/keys\/([A-Za-z0-9-]{1,127})(?:\/([A-Za-z0-9]{1,64}))?$/i;

/** `undefined` for anything else. */
export function parseVaultKeyId(text: unknown): VaultKeyId | undefined {
  const [, vaultUrl, name, version] = typeof text === "string" ? (KEY_ID.exec(text) ?? []) : [];
  return vaultUrl === undefined || name === undefined ? undefined : { vaultUrl, name, version };
}

export function vaultKey({ vaultUrl, name }: VaultKeyId, version: string): VaultKey {
  const id = `${vaultUrl}/keys/${name}/${version}`;
  return { id, name, properties: { id, name, vaultUrl, version } };
}
