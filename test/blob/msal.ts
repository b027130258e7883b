/** The real MSAL, reached where it keeps its tokens. Tests only: nothing in src/blob imports it. */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { ConfidentialClientApplication, type NetworkResponse } from "@azure/msal-node";
import { CLIENT, TENANT } from "./fixtures.ts";

interface ScopeSet {
  asArray(): string[];
  containsScopeSet(other: ScopeSet): boolean;
  intersectingScopeSets(other: ScopeSet): boolean;
}

interface ScopeSetClass {
  fromString(scopes: string, correlationId: string): ScopeSet;
  createSearchScopes(scopes: string[], correlationId: string): ScopeSet;
}

// The msal-common that this msal-node uses; it is no dependency of ours.
const load = createRequire(import.meta.resolve("@azure/msal-node"));

export function msalScopeSet(): ScopeSetClass {
  return (load("@azure/msal-common/node") as { ScopeSet: ScopeSetClass }).ScopeSet;
}

interface Cloud {
  readonly preferred_cache: string;
  readonly aliases: readonly string[];
}

export async function msalClouds(): Promise<readonly Cloud[]> {
  const entry = pathToFileURL(load.resolve("@azure/msal-common/node"));
  const file = new URL("../dist/authority/AuthorityMetadata.mjs", entry);
  const module = (await import(file.href)) as { InstanceDiscoveryMetadata: { metadata: readonly Cloud[] } };
  return module.InstanceDiscoveryMetadata.metadata;
}

/** Thrown in place of every network call. */
const NO_NETWORK = "no network in this test";

/** A client of the tests' tenant that can answer from its cache only. */
export function offlineClient(cacheJson?: string): ConfidentialClientApplication {
  return clientWith(() => Promise.reject(new Error(NO_NETWORK)), cacheJson);
}

/** The same, but the provider answers that it is busy: MSAL lets an early renewal of an application fail so only. */
export function busyClient(cacheJson: string): ConfidentialClientApplication {
  const body = { error: "temporarily_unavailable" };
  return clientWith(() => Promise.resolve({ status: 503, headers: {}, body }), cacheJson);
}

/** A client whose every request gets this answer. */
export function onlineClient(body: object): ConfidentialClientApplication {
  return clientWith(() => Promise.resolve({ status: 200, headers: {}, body }));
}

type Answer = () => Promise<NetworkResponse<never>>;

function clientWith(answer: () => Promise<unknown>, cacheJson?: string): ConfidentialClientApplication {
  const send = answer as Answer;
  const client = new ConfidentialClientApplication({
    auth: { clientId: CLIENT, clientSecret: "s", authority: `https://login.microsoftonline.com/${TENANT}` },
    system: { networkClient: { sendGetRequestAsync: send, sendPostRequestAsync: send } },
  });
  if (cacheJson !== undefined) client.getTokenCache().deserialize(cacheJson);
  return client;
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** An unsigned id token, as MSAL accepts it. */
export function fakeIdToken(claims: object = {}): string {
  return `${encoded({ alg: "none" })}.${encoded({ oid: "uid", sub: "sub", tid: TENANT, ...claims })}.`;
}

/** The token endpoint's answer to a sign-in of the fixtures' account. */
export function fakeTokenResponse(fields: object = {}): object {
  return {
    token_type: "Bearer",
    scope: "User.Read openid profile",
    expires_in: 3600,
    ext_expires_in: 3600,
    access_token: "at",
    refresh_token: "rt",
    id_token: fakeIdToken(),
    client_info: encoded({ uid: "uid", utid: TENANT }),
    ...fields,
  };
}

interface NodeStorage {
  saveCacheRecord(record: object, correlationId: string, kmsi: boolean, apiId: number): Promise<void>;
}

/** MSAL's own storage behind that client. */
export function storageOf(client: ConfidentialClientApplication): NodeStorage {
  return (client.getTokenCache() as unknown as { storage: NodeStorage }).storage;
}
