/**
 * Which host names are one cloud, and the one that MSAL files entries under.
 *
 * Facts: the instance discovery metadata built into @azure/msal-common 16.16
 * (`authority/AuthorityMetadata.ts`); the first of each line is its `preferred_cache`.
 */
const CLOUDS: readonly (readonly string[])[] = Object.freeze([
  ["login.windows.net", "login.microsoftonline.com", "login.microsoft.com", "sts.windows.net"],
  ["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
  ["login.microsoftonline.de"],
  ["login.microsoftonline.us", "login.usgovcloudapi.net"],
  ["login-us.microsoftonline.com"],
  ["login.sovcloud-identity.fr"],
  ["login.sovcloud-identity.de"],
  ["login.sovcloud-identity.sg"],
]);

const BY_NAME: ReadonlyMap<string, readonly string[]> = new Map(
  CLOUDS.flatMap((aliases) => aliases.map((name) => [name, aliases] as const)),
);

/** The host MSAL files entries of this host's cloud under; an unknown host in lower case. */
export function canonicalEnvironment(host: string): string {
  return environmentAliases(host)[0] ?? host;
}

/** All names of this host's cloud, the canonical one first; an unknown host has only itself. */
export function environmentAliases(host: string): readonly string[] {
  const known = BY_NAME.get(host);
  if (known) return known;
  const name = host.toLowerCase();
  return BY_NAME.get(name) ?? [name];
}

/** True for a host of Microsoft's own clouds, whose names MSAL knows without asking. */
export function isKnownCloud(host: string): boolean {
  return BY_NAME.has(host.toLowerCase());
}

/** The host that MSAL asks, and names in results, for this host's cloud (its `preferred_network`). */
export function networkHost(host: string): string {
  const canonical = canonicalEnvironment(host);
  return canonical === "login.windows.net" ? "login.microsoftonline.com" : canonical;
}
