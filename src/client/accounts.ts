import { accountRef } from "../activity/account-ref.ts";
import { TokenkeepError } from "../errors.ts";
import { findAccount, findIdToken } from "../blob/lookup.ts";
import { environmentAliases } from "../blob/environments.ts";
import { accountInfo, decodeClaims } from "../msal/cached-result.ts";
import type { TokenCacheSource } from "../msal/token-cache-facade.ts";
import type { AccountInfo } from "../msal/types.ts";
import { requestedAccount } from "./account.ts";
import { partitionOf, type ClientContext } from "./context.ts";
import { removeAccount } from "./sign-out.ts";

/** MSAL's `getAllAccounts` returns an array; beyond this many an application has to page instead. */
const MAX_ALL_ACCOUNTS = 1_000;

/** What MSAL's `TokenCache` methods mean for a cache shared by many users. */
export function createAccountSource(context: ClientContext): TokenCacheSource {
  return {
    getAllAccounts: () => allAccounts(context),
    getAccountByHomeId: (homeAccountId) => accountByHomeId(context, homeAccountId),
    async getAccountByLocalId(localAccountId) {
      const accounts = await allAccounts(context);
      return accounts.find((account) => account.localAccountId === localAccountId) ?? null;
    },
    async removeAccount(account) {
      const { status } = await removeAccount(context, account);
      if (status === "done") return;
      throw new TokenkeepError(
        "ERR_STORE_UNAVAILABLE",
        "the sign-out took effect in this process and waits for the store to answer",
        { retryable: true },
      );
    },
  };
}

/** One partition is read, nobody else's. `null` if the user has not signed in. @throws retryable store errors */
async function accountByHomeId(context: ClientContext, homeAccountId: string): Promise<AccountInfo | null> {
  if (typeof homeAccountId !== "string" || homeAccountId === "") return null;
  const authority = context.authority({});
  const nobody = { environment: "", tenantId: "", localAccountId: homeAccountId, username: "" };
  const account = requestedAccount({ homeAccountId, ...nobody }, authority, false);
  const state = await context.parts.partitions.read(partitionOf(context, authority, account));
  if (state.status !== "present") return null;
  const { blob } = state.record;
  const entity = findAccount(blob, account.homeAccountId, account.environment);
  if (!entity) return null;
  const idToken = findIdToken(blob, {
    homeAccountId: account.homeAccountId,
    environments: environmentAliases(account.environment),
    clientId: context.auth.clientId,
    realm: entity.realm,
  });
  return accountInfo(entity, idToken && decodeClaims(idToken.secret), idToken?.secret ?? "");
}

/** From the activity index, which names accounts without opening their tokens. */
async function allAccounts(context: ClientContext): Promise<AccountInfo[]> {
  const accounts: AccountInfo[] = [];
  for await (const account of context.parts.activity.list({
    kind: "user",
    clientId: context.auth.clientId,
  })) {
    if (accounts.length === MAX_ALL_ACCOUNTS) {
      throw new TokenkeepError(
        "ERR_TOO_MANY_ACCOUNTS",
        `there are more than ${MAX_ALL_ACCOUNTS} accounts; page through them with tokenCache.accounts()`,
      );
    }
    accounts.push(accountRef(account));
  }
  return accounts;
}
