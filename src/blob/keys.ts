/** Cache keys as MSAL Node 7.2 builds them (`msal-node/src/cache/CacheHelpers.ts`): lower case, joined by "-". */
import type {
  AccessTokenEntity,
  AccountEntity,
  AppMetadataEntity,
  CredentialEntity,
  RefreshTokenEntity,
} from "./entities.ts";

/** Account key: home account id, environment, home tenant (from the id; else the account's realm). */
export function accountKey(entity: Pick<AccountEntity, "home_account_id" | "environment" | "realm">): string {
  const homeTenant = entity.home_account_id.split(".")[1];
  return joined([entity.home_account_id, entity.environment, homeTenant || entity.realm]);
}

/**
 * Credential key: home account id, environment, kind, client (a refresh token's family in its place),
 * realm, scopes, scheme if it is not Bearer.
 *
 * For an access token with `additionalCacheKeyComponents` this is only what precedes the components' hash;
 * see {@link storedCredentialKey}.
 */
export function credentialKey(entity: CredentialEntity): string {
  const kind = entity.credential_type;
  const { family_id: family } = entity as Partial<RefreshTokenEntity>;
  // MSAL reads a scheme and scopes only where its schema has them; elsewhere they are foreign fields.
  const scheme = isAccessToken(kind) ? (entity as AccessTokenEntity).token_type : undefined;
  return joined([
    entity.home_account_id,
    entity.environment,
    kind,
    (kind === "RefreshToken" && family) || entity.client_id,
    entity.realm ?? "",
    (kind !== "IdToken" && entity.target) || "",
    scheme === undefined || scheme.toLowerCase() === "bearer" ? "" : scheme,
  ]);
}

/** AppMetadata key: the literal "appmetadata", environment, client. */
export function appMetadataKey(entity: Pick<AppMetadataEntity, "environment" | "client_id">): string {
  return joined(["appmetadata", entity.environment, entity.client_id]);
}

/** True for a token that MSAL keeps apart by more than its scopes (FMI path, client claims, …). */
export function hasKeyComponents(entity: CredentialEntity): boolean {
  const components = (entity as Partial<AccessTokenEntity>).additionalCacheKeyComponents;
  return components !== undefined && Object.keys(components).length > 0;
}

/**
 * The key for an entity that was stored under `key` with another spelling of its environment.
 *
 * MSAL has two ways to hash additional key components, so a key with such a hash is opaque: only its
 * beginning (home account id and environment) is replaced, and if it does not begin so, it stays.
 */
export function storedCredentialKey(key: string, before: CredentialEntity, now: CredentialEntity): string {
  if (!hasKeyComponents(now)) return credentialKey(now);
  const prefix = `${joined([before.home_account_id, before.environment])}-`;
  if (!key.startsWith(prefix)) return key;
  return `${joined([now.home_account_id, now.environment])}-${key.slice(prefix.length)}`;
}

function isAccessToken(kind: string): boolean {
  return kind.toLowerCase().startsWith("accesstoken");
}

function joined(parts: readonly string[]): string {
  return parts.join("-").toLowerCase();
}
