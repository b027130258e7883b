import { checkedChoice, checkObject, checkOptionNames, checkText } from "../checks.ts";
import { OptionsError } from "../errors.ts";
import type { AccountStatus } from "../store/account-activity-store.ts";
import type { AccountsFilter } from "./activity.ts";

const STATUSES: readonly AccountStatus[] = ["ok", "needs-interaction", "consent-required", "retry-later"];
const TIMES = ["activeSince", "idleSince"] as const;
const TEXTS = ["tenantId", "homeAccountId", "clientId"] as const;
const FILTERS = new Set<string>(["status", "kind", ...TIMES, ...TEXTS]);

/** A misspelt filter would list everybody, and a misspelt status nobody. @throws {OptionsError} naming the filter */
export function checkedFilter(filter: AccountsFilter): AccountsFilter {
  checkObject(filter, "filter");
  checkOptionNames(filter, FILTERS, "accounts()", "accounts");
  const { status: wanted = [] } = filter;
  for (const status of [wanted].flat()) {
    if (STATUSES.includes(status)) continue;
    throw new OptionsError("accounts.status", `must be one or several of: ${STATUSES.join(", ")}`);
  }
  for (const name of TIMES) {
    if (filter[name] === undefined || Number.isFinite(filter[name])) continue;
    throw new OptionsError(`accounts.${name}`, "must be a number: a time in ms since the epoch, UTC");
  }
  checkedChoice(filter.kind, "accounts.kind", ["user", "long-running"]);
  for (const name of TEXTS) checkText(filter[name], `accounts.${name}`);
  return filter;
}
