/** One random case, put to tokenkeep's public client and to the real MSAL. Neither reaches any network. */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  ConfidentialClientApplication,
  LogLevel,
  type AccountInfo,
  type AuthenticationResult,
  type INetworkModule,
} from "@azure/msal-node";
import { memoryStore } from "../../../src/adapters/memory.ts";
import { canonicalEnvironment, canonicalizeBlob } from "../../../src/blob/environments.ts";
import { blobFromObject, serializeBlob, type CacheBlob } from "../../../src/blob/entities.ts";
import { createConfidentialClient } from "../../../src/client/confidential-client.ts";
import type { TokenResult } from "../../../src/client/result.ts";
import { parseAuthority, type Authority } from "../../../src/msal/issuer.ts";
import { createRecordCodec } from "../../../src/partitions/codec.ts";
import { appPartition, userPartition, type Partition } from "../../../src/partitions/partition.ts";
import { createTokenCache } from "../../../src/token-cache.ts";
import { CLIENT, GUEST_TENANT, NOW, TENANT } from "../../blob/fixtures.ts";
import { testKeys } from "../../support/world.ts";
import type { Ask, Case } from "./draw.ts";

/** A token, or why there is none. */
export type Answer<R = AuthenticationResult> =
  { readonly result: R } | { readonly result: undefined; readonly error: unknown };

/** What tokenkeep answered, and whether MSAL was entered for it. */
export type OurAnswer = Answer<TokenResult> & { readonly entered: boolean };

/**
 * Records how often it was asked and answers that the provider is busy. MSAL lets an early renewal of an
 * application's token fail only so.
 */
const busy: INetworkModule = {
  sendGetRequestAsync: () => Promise.reject(new Error("no network in this test")),
  sendPostRequestAsync: <T>() =>
    Promise.resolve({ status: 503, headers: {}, body: { error: "temporarily_unavailable" } as T }),
};

const auth = (authority: string) => ({ clientId: CLIENT, clientSecret: "s", authority });

async function answerOf<R>(ask: () => Promise<R | null>): Promise<Answer<R>> {
  try {
    return { result: (await ask()) as R };
  } catch (error) {
    return { result: undefined, error };
  }
}

/** tokenkeep, with the case's cache in its store under every key that the case will ask for. */
export async function openUs({
  blob,
  authority,
  asks,
}: Case): Promise<{ ask(ask: Ask): Promise<OurAnswer>; close(): Promise<unknown> }> {
  const store = memoryStore();
  const tokenCache = createTokenCache({ store, keys: testKeys() });
  // By the call it serves: a renewal in the background goes on while the next question is asked.
  const asking = new AsyncLocalStorage<{ entered: boolean }>();
  const loggerCallback = (): void => {
    const call = asking.getStore();
    if (call) call.entered = true;
  };
  const loggerOptions = { logLevel: LogLevel.Info, loggerCallback };
  const client = createConfidentialClient({
    auth: auth(authority),
    system: { networkClient: busy, loggerOptions },
    tokenCache,
  });
  const { partitions, sealer, namespace, runtime, emit } = tokenCache.parts;
  const codec = createRecordCodec({ sealer, namespace, runtime, emit });
  const record = { type: "tokens", incarnation: "i", seq: 1, provenance: {}, blob } as const;
  const keys = new Set(asks.map((ask) => partitions.key(partitionOf(ask, authority))));
  for (const key of keys) {
    await store.put(key, codec.encode(key, record), { version: "v1", ifVersion: null, ttlMs: 1e9 });
  }
  return {
    async ask({ flow, request }) {
      const call = { entered: false };
      const answer = await asking.run(call, () =>
        flow === "silent"
          ? answerOf(() => client.acquireTokenSilent(structuredClone(request)))
          : answerOf(() => client.acquireTokenByClientCredential(structuredClone(request))),
      );
      return { ...answer, entered: call.entered };
    },
    close: () => tokenCache.close(),
  };
}

function partitionOf(ask: Ask, clientAuthority: string): Partition {
  const { issuer, tenant } = authorityOf(ask, clientAuthority);
  const scope = { clientId: CLIENT, issuer };
  return ask.flow === "silent"
    ? userPartition(scope, ask.request.account.homeAccountId)
    : appPartition(scope, tenant);
}

function authorityOf(ask: Ask, clientAuthority: string): Authority {
  return parseAuthority({ authority: ask.request.authority ?? clientAuthority });
}

/** A fresh MSAL client, whose plugin presents the same cache. */
export function askMsal(cacheJson: string, authority: string, { flow, request }: Ask): Promise<Answer> {
  const client = new ConfidentialClientApplication({
    auth: auth(authority),
    system: { networkClient: busy },
    cache: {
      cachePlugin: {
        beforeCacheAccess: (context) => Promise.resolve(context.tokenCache.deserialize(cacheJson)),
        afterCacheAccess: () => Promise.resolve(),
      },
    },
  });
  return flow === "silent"
    ? answerOf(() =>
        client.acquireTokenSilent(structuredClone(request) as { account: AccountInfo; scopes: string[] }),
      )
    : answerOf(() => client.acquireTokenByClientCredential(structuredClone(request)));
}

/** The cache as tokenkeep holds it once it has read it: one spelling for each cloud, nothing from the future. */
export function asHeld(blob: CacheBlob, elapsedSeconds: number): CacheBlob {
  return canonicalizeBlob(blobFromObject(JSON.parse(serializeBlob(blob))), NOW + elapsedSeconds);
}

/**
 * The question as tokenkeep understands it, where it deliberately differs from MSAL: an account in the spelling in
 * which its tokens lie, and the tenant that the request's own authority names. Written down here once more, so
 * that a mistake in the client's own reading is seen.
 */
export function asMeant(ask: Ask, clientAuthority: string): Ask {
  if (ask.flow !== "silent") return ask;
  const { account, authority } = ask.request;
  const named = authority === undefined ? "" : (new URL(authority).pathname.split("/")[1] ?? "");
  const isTenantId = [TENANT, GUEST_TENANT].includes(named.toLowerCase());
  const environment = canonicalEnvironment(account.environment || new URL(authority ?? clientAuthority).host);
  const meant = {
    ...account,
    homeAccountId: account.homeAccountId.toLowerCase(),
    environment,
    tenantId: isTenantId ? named : account.tenantId,
  };
  return { ...ask, request: { ...ask.request, account: meant } };
}
