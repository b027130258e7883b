/** What the tests of reproduced attacks share. */
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import type { TokenResult } from "../../src/client/result.ts";
import type { TokenCacheOptions } from "../../src/options.ts";
import { type TappedNetwork, tapNetwork } from "../support/network.ts";
import { createNode, REDIRECT_URI, READ, WEB, type Node, type World } from "../support/world.ts";

type CacheOptions = Partial<TokenCacheOptions<never>>;

/** The code of the error that the work ends with, tokenkeep's or MSAL's; `undefined` if it does not. */
export async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    const { code, errorCode } = error as { code?: string; errorCode?: string };
    return errorCode ?? code ?? String(error);
  }
}

/** Tries once to store what waits. @returns how many results still wait. */
export function drain(node: Node): Promise<number> {
  return node.cache.parts.partitions.drain();
}

/** A process whose answers from the provider a test can change. */
export function tappedNode(world: World, options: CacheOptions = {}): Node & { net: TappedNetwork } {
  const net = tapNetwork(world.authority.networkClient());
  const node = createNode(
    world.authority,
    { store: world.store, ...options },
    { system: { networkClient: net } },
  );
  return { ...node, net };
}

/** The API that exchanges its callers' tokens. */
export function apiNode(
  world: World,
  options: CacheOptions = {},
  net = world.authority.networkClient(),
): Node {
  return createNode(
    world.authority,
    { store: world.store, ...options },
    { auth: world.authority.msalAuth("contoso", DEFAULT_CLIENT_IDS.notes), system: { networkClient: net } },
  );
}

/** A second authority of the same tenant, as a policy of Azure AD B2C is one. */
export function otherPolicy(world: World): string {
  return `${world.authority.msalAuth("contoso", WEB).authority}/b2c_1_edit`;
}

/** Signs in through an authority that is not the client's own. */
export async function signInThrough(
  world: World,
  node: Node,
  authority: string,
  user: string,
): Promise<TokenResult> {
  const request = { scopes: READ, redirectUri: REDIRECT_URI, authority };
  const url = await node.client.getAuthCodeUrl(request);
  const answer = await world.authority.authorize(url, { user });
  return node.client.acquireTokenByCode({ ...request, code: answer.params["code"] ?? "" });
}

/** The key of the only record of this kind in the store. */
export async function keyOf(world: World, kind: "user" | "obo" | "account"): Promise<string | undefined> {
  const { keys } = await world.store.admin.keys({ prefix: "", limit: 100 });
  return keys.find((key) => key.includes(`:${kind}:`));
}
