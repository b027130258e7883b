/** Refresh leases as files. */
import { expiryAt } from "./shared/arguments.ts";
import type { Calls } from "./filesystem-calls.ts";
import type { Cells } from "./filesystem-cells.ts";
import type { Cell } from "./filesystem-format.ts";
import type { RefreshLease } from "../store/refresh-lease.ts";

const NOTHING = new Uint8Array(0);

/** The {@link RefreshLease} of the processes that share the folder. The owner stands where a version would. */
export function filesystemLease({ call, now }: Calls, cells: Cells): RefreshLease {
  const leftMs = (current: Cell | undefined): number => Math.max((current?.expiresAtMs ?? 0) - now(), 0);
  const isHeldBy = (owner: string) => (current: Cell | undefined) =>
    current?.version === owner && leftMs(current) > 0;

  return {
    acquire: (key, { owner, ttlMs }) =>
      call("lease acquire", async () => {
        const next = { key, version: owner, expiresAtMs: expiryAt(now(), ttlMs), bytes: NOTHING };
        const result = await cells.replace(next, (current) => leftMs(current) === 0);
        return result.done ? { held: true } : { held: false, remainingMs: leftMs(result.current) };
      }),
    renew: (key, { owner, ttlMs }) =>
      call("lease renew", async () => {
        const next = { key, version: owner, expiresAtMs: expiryAt(now(), ttlMs), bytes: NOTHING };
        return (await cells.replace(next, isHeldBy(owner))).done;
      }),
    release: (key, { owner }) =>
      call("lease release", async () => {
        await cells.remove(key, (current) => current?.version === owner);
      }),
  };
}
