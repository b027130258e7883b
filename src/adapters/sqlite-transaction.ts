/** A write transaction on a node:sqlite connection. */
import type { DatabaseSync } from "node:sqlite";

/**
 * Does `work` in one write transaction, undone as a whole if it throws.
 *
 * IMMEDIATE: the lock is taken before anything is read, so "locked" always means that nothing happened.
 * COMMIT is a statement of its own: where the end of an `INSERT … RETURNING` read by `get()` makes the
 * commit, node:sqlite drops the commit's error, and a lost write would look stored.
 */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    try {
      db.exec("ROLLBACK");
    } catch {
      // SQLite has rolled back by itself, as it does when the disk fails; the first error says why.
    }
    throw error;
  }
}
