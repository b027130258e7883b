import type { CacheBlob } from "../blob/entities.ts";
import type { Provenance } from "../blob/provenance.ts";
import type { PartitionKind } from "./partition.ts";

/** One user's, application's or assertion's tokens, as one life of the partition has gathered them. */
export interface TokenRecord {
  readonly type: "tokens";
  /** Random, one per life: from a sign-in to the sign-out that ends it. */
  readonly incarnation: string;
  /** Grows by one with every write of one life. Seeing it fall means the store went back in time. */
  readonly seq: number;
  /** Which sign-in each refresh token comes from, and how often it was renewed since. */
  readonly provenance: Provenance;
  /**
   * When the latest sign-in of this life was, by its process's clock; ms since the epoch. Orders it against a
   * sign-out that did not know of it. On-behalf-of: when the assertion was issued. Absent: not known.
   */
  readonly signedInAtMs?: number | undefined;
  /** The stamp of the sign-out that this life was begun over; absent: of none that is known. */
  readonly afterMs?: number | undefined;
  /** The latest sign-ins of this life, by random ids: whether one whose answer was lost has been here. */
  readonly signIns?: readonly string[] | undefined;
  /** The user's account record had no room for this partition: it counts for as long as that says so. */
  readonly unlisted?: boolean | undefined;
  readonly blob: CacheBlob;
}

/** Says: signed out. Lives longer than anything that could bring the account back by accident. */
export interface RemovalMarker {
  readonly type: "removed";
  /** The life that ended; `undefined` if nothing was there. */
  readonly incarnation: string | undefined;
  readonly seq: number;
  /** The highest grant of the life that ended: the next sign-in takes a higher one. */
  readonly grant: number;
  /** When the sign-out was, by its process's clock, and later than all that it ended; ms since the epoch. */
  readonly removedAtMs: number;
}

/** One entry of the account record: a partition that cannot be derived from the user. */
export interface ListedPartition {
  readonly id: string;
  readonly kind: PartitionKind;
  readonly expiresAtMs: number;
}

/** One per user: what sign-out everywhere has to reach, and when it last did. */
export interface AccountRecord {
  readonly type: "account";
  readonly seq: number;
  readonly signedOutAtMs: number | undefined;
  readonly partitions: readonly ListedPartition[];
  /** When the last of those partitions ends that found no room: the stamp is kept until then, ms since the epoch. */
  readonly unlistedUntilMs?: number | undefined;
}

/** A sign-in flow has been completed. */
export interface SpentFlow {
  readonly type: "spent";
  /** Random, one per attempt to mark it: whose mark this is. Absent in records of older releases. */
  readonly by?: string | undefined;
}

/** Readable, but not authentic: somebody wrote it who does not have the key, or for another partition. */
export interface RefusedRecord {
  readonly type: "refused";
}

/** Whatever can lie under a partition key. */
export type PartitionRecord = TokenRecord | RemovalMarker | AccountRecord | SpentFlow | RefusedRecord;
