/** Text to a blob: parsed, checked, its environments made canonical; beside MSAL's way and the parser's. */
import { ConfidentialClientApplication } from "@azure/msal-node";
import { parseBlob } from "../../src/blob/entities.ts";
import { canonicalizeBlob } from "../../src/blob/environments.ts";
import type { Benchmark } from "../lib/benchmark.ts";
import { compare, type Result } from "../lib/compare.ts";
import { createApplication } from "../lib/parties.ts";

export const parse: Benchmark = {
  title: "A blob's JSON, read",
  async run({ pace }) {
    const application = createApplication();
    const { auth, system } = application;
    const nowSeconds = Math.floor(Date.now() / 1_000);
    const results: Result[] = [];
    for (const accessTokens of [1, 5, 50]) {
      const json = application.blob(1, { accessTokens });
      const subjects = [
        { name: "tokenkeep", operation: async () => canonicalizeBlob(parseBlob(json), nowSeconds) },
        {
          name: "msal-node, deserialize into a new client",
          operation: async () =>
            new ConfidentialClientApplication({ auth, system }).getTokenCache().deserialize(json),
        },
        { name: "JSON.parse", operation: async () => JSON.parse(json) as unknown },
      ];
      const params = { accessTokens, bytes: json.length };
      results.push(...(await compare({ bench: "parse", params, pace, subjects })));
    }
    return results;
  },
};
