/** The records as a blob store. */
import { expiryAt } from "./shared/arguments.ts";
import type { Cell, Header } from "./filesystem-format.ts";
import type { Cells } from "./filesystem-cells.ts";
import type { Calls } from "./filesystem-calls.ts";
import type { BlobStore, Stored, Version } from "../store/blob-store.ts";

/** The {@link BlobStore} methods on files. */
export function filesystemRecords(
  { call, now }: Calls,
  cells: Cells,
): Pick<BlobStore, "get" | "put" | "touch" | "delete"> {
  const live = <T extends Header>(cell: T | undefined): T | undefined =>
    cell !== undefined && (cell.expiresAtMs ?? 0) > now() ? cell : undefined;
  const hasVersion = (version: Version | null) => (current: Cell | undefined) =>
    (live(current)?.version ?? null) === version;

  /** Renewing depends on what is there, so it is read first and written only over what was read. */
  async function touch(key: string, ifVersion: Version, ttlMs: number): Promise<boolean> {
    for (;;) {
      const wanted = expiryAt(now(), ttlMs);
      const present = live(await cells.read(key));
      if (present === undefined || present.version !== ifVersion) return false;
      if ((present.expiresAtMs ?? 0) >= wanted) return true;
      const unchanged = (current: Cell | undefined): boolean =>
        live(current)?.version === ifVersion && current?.expiresAtMs === present.expiresAtMs;
      if ((await cells.replace({ ...present, expiresAtMs: wanted }, unchanged)).done) return true;
    }
  }

  return {
    get: (key, { unlessVersion, signal } = {}) =>
      call(
        "get",
        async () => {
          if (unlessVersion !== undefined) {
            const header = live(await cells.readHeader(key));
            if (header === undefined) return undefined;
            if (header.version === unlessVersion) return "unchanged";
          }
          const cell = live(await cells.read(key));
          if (cell === undefined) return undefined;
          return cell.version === unlessVersion ? "unchanged" : handOut(cell);
        },
        signal,
      ),
    put(key, bytes, { version, ifVersion, ttlMs, signal }) {
      // A copy, because the caller may reuse the bytes while this waits for its turn.
      const own = new Uint8Array(bytes);
      return call(
        "put",
        async () => {
          const next = { key, version, expiresAtMs: expiryAt(now(), ttlMs), bytes: own };
          const result = await cells.replace(next, hasVersion(ifVersion), signal);
          if (result.done) return { stored: true };
          const current = live(result.current);
          return current === undefined ? { stored: false } : { stored: false, current: handOut(current) };
        },
        signal,
      );
    },
    touch: (key, { ifVersion, ttlMs }) => call("touch", () => touch(key, ifVersion, ttlMs)),
    delete: (key, { ifVersion }) =>
      call("delete", async () => (await cells.remove(key, hasVersion(ifVersion))).done),
  };
}

function handOut({ bytes, version, expiresAtMs }: Cell): Stored {
  return { bytes, version, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) };
}
