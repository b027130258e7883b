/** The filters of an activity listing, for backends that have to look at each row themselves. */
import type { AccountActivityRow, ActivityQuery } from "../../store/account-activity-store.ts";

/** True if every filter that is given lets the row pass. */
export function matchesQuery(row: AccountActivityRow, query: ActivityQuery): boolean {
  const { status, activeSince, idleSince, tenantId, homeAccountId, clientId, keyPrefix } = query;
  return (
    (status === undefined || [status].flat().includes(row.status)) &&
    (activeSince === undefined || row.lastActivityAt >= activeSince) &&
    (idleSince === undefined || row.lastActivityAt < idleSince) &&
    (tenantId === undefined || row.tenantId === tenantId) &&
    (homeAccountId === undefined || row.homeAccountId === homeAccountId) &&
    (clientId === undefined || row.clientId === clientId) &&
    (keyPrefix === undefined || row.accountKey.startsWith(keyPrefix))
  );
}
