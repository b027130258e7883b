/** Never run: what these files promise, the compiler holds. */
import type {
  ICachePlugin,
  IConfidentialClientApplication,
  IPublicClientApplication,
} from "@azure/msal-node";
import {
  createConfidentialClient,
  createTokenCache,
  userPartition,
  type AccountActivity,
  type AccountRef,
  type ConfidentialClient,
  type PublicClient,
  type ResultMetadata,
  type TokenCache,
} from "../../src/index.ts";

declare const client: ConfidentialClient;
declare const auth: { readonly clientId: string };

/** The client is MSAL's own interface, so an application changes one line. */
export const asInMsal: IConfidentialClientApplication = client;

/** So is the public one. */
declare const publicClient: PublicClient;
export const asInMsalToo: IPublicClientApplication = publicClient;

/** Whatever the application's properties are, its cache serves a client. */
interface Plan {
  readonly plan: "free" | "paid";
}
declare const withProperties: TokenCache<Plan>;
export const clients: readonly ConfidentialClient[] = [
  createConfidentialClient({ auth, tokenCache: createTokenCache() }),
  createConfidentialClient({ auth, tokenCache: withProperties }),
];

/** What `accounts()` lists, a session holds or MSAL returns is what `account:` accepts. */
export async function accountsOfEveryKind(activity: AccountActivity<Plan>, ref: AccountRef): Promise<void> {
  const scopes = ["User.Read"];
  const { account } = await client.acquireTokenSilent({ account: activity, scopes });
  await client.acquireTokenSilent({ account: ref, scopes });
  if (account) await client.acquireTokenSilent({ account, scopes });
  const restored = JSON.parse(JSON.stringify(ref)) as AccountRef;
  await client.removeAccount(restored);
  // @ts-expect-error an account is not named by a string
  await client.acquireTokenSilent({ account: ref.homeAccountId, scopes });
}

/** Properties come back with the type they were given. */
export async function planOf(tokenCache: TokenCache<Plan>): Promise<Plan["plan"] | undefined> {
  for await (const { properties } of tokenCache.accounts()) return properties?.plan;
  return undefined;
}

/** Every result says where it came from. */
export async function metadataOf(ref: AccountRef): Promise<ResultMetadata> {
  return (await client.acquireTokenSilent({ account: ref, scopes: [] })).metadata;
}

/** The plugin is what MSAL's configuration takes. */
export const plugin: ICachePlugin = createTokenCache().plugin(userPartition({ clientId: "id" }, "uid.utid"));

// @ts-expect-error a client without a cache would be MSAL's own
createConfidentialClient({ auth });
// @ts-expect-error a misspelt option is not ignored
createTokenCache({ namespaces: "app" });
