/** Two processes have renewed different tokens of one user: their results become one. */
import { ConfidentialClientApplication } from "@azure/msal-node";
import { parseBlob, serializeBlob, type CacheBlob } from "../../src/blob/entities.ts";
import { mergeBlobs } from "../../src/blob/merge.ts";
import { fingerprint } from "../../src/blob/provenance.ts";
import type { Benchmark } from "../lib/benchmark.ts";
import { compare, type Result } from "../lib/compare.ts";
import { createApplication } from "../lib/parties.ts";

export const merge: Benchmark = {
  title: "Two changed blobs of one user, merged and serialised",
  async run({ pace }) {
    const application = createApplication();
    const { auth, system } = application;
    const results: Result[] = [];
    for (const accessTokens of [1, 5, 50]) {
      const base = parseBlob(application.blob(1, { accessTokens }));
      const mine = renewed(base, 0, "mine");
      const theirs = renewed(base, accessTokens - 1, "theirs");
      const provenance = { mine: firstLife(mine), theirs: firstLife(theirs) };
      const [myJson, theirJson] = [serializeBlob(mine), serializeBlob(theirs)];
      const subjects = [
        {
          name: "tokenkeep",
          operation: async () => serializeBlob(mergeBlobs({ base, mine, theirs, provenance }).blob),
        },
        {
          name: "msal-node, deserialize one over the other",
          async operation() {
            const cache = new ConfidentialClientApplication({ auth, system }).getTokenCache();
            cache.deserialize(theirJson);
            cache.deserialize(myJson);
            return cache.serialize();
          },
        },
        {
          name: "JSON.parse and JSON.stringify of one",
          operation: async () => JSON.stringify(JSON.parse(theirJson)),
        },
      ];
      const params = { accessTokens, bytes: theirJson.length };
      results.push(...(await compare({ bench: "merge", params, pace, subjects })));
    }
    return results;
  },
};

/** The `index`th access token and the refresh token are new. */
function renewed(blob: CacheBlob, index: number, by: string): CacheBlob {
  return {
    ...blob,
    AccessToken: Object.fromEntries(
      Object.entries(blob.AccessToken).map(([key, token], at) => [
        key,
        at === index ? { ...token, secret: `${by}${token.secret.slice(by.length)}` } : token,
      ]),
    ),
    RefreshToken: Object.fromEntries(
      Object.entries(blob.RefreshToken).map(([key, token]) => [
        key,
        { ...token, secret: `${by}${token.secret}` },
      ]),
    ),
  };
}

function firstLife(blob: CacheBlob): Record<string, { readonly grant: number; readonly generation: number }> {
  const secrets = Object.values(blob.RefreshToken).map(({ secret }) => secret);
  return Object.fromEntries(secrets.map((secret) => [fingerprint(secret), { grant: 1, generation: 1 }]));
}
