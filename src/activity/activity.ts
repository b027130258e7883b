/** Keeps the activity rows in step with the tokens: a superset of them, never a reason for a sign-in to fail. */
import { LRUCache } from "lru-cache";
import type { SealContext, Sealer } from "../envelope/sealer.ts";
import { randomId, type Runtime } from "../runtime.ts";
import type {
  AccountActivityRow,
  AccountActivityStore,
  AccountStatus,
  StoredActivity,
} from "../store/account-activity-store.ts";
import { partitionLabel, type Emit } from "../telemetry/emitter.ts";
import type { OpenFailureReason } from "../telemetry/events.ts";
import { activityFromRow, kindOfRow, type AccountActivity, type AccountKind } from "./account-activity.ts";
import type { AccountRef } from "./account-ref.ts";
import type { FailureOutcome } from "./outcome.ts";
import {
  afterFailure,
  afterSignIn,
  afterSuccess,
  newRow,
  type ClientRole,
  type CredentialMove,
} from "./row.ts";

/** What the application's hook sees before a row is written. */
export interface ActivityContext<Properties> {
  /** Whose row is about to be written. */
  readonly account: AccountRef;
  /** Who acts: the web app for a user who is there, or a worker. */
  readonly role: ClientRole;
  /** What happened. */
  readonly reason: "sign-in" | "refresh" | "failure";
  /** The request as the application made it. Holds what it holds: do not store codes or assertions. */
  readonly request: object;
  /** What an earlier call attached. */
  readonly properties: Properties | undefined;
}

/**
 * Adds the application's own JSON-safe properties to an account's row, sealed. Runs before each write of the
 * row; `undefined` keeps what is there. If it throws, the row is written without the change; so it is, without
 * asking it, where this process does not have the key of what is there.
 */
export type OnBeforeActivityWrite<Properties> = (
  context: ActivityContext<Properties>,
) => Properties | undefined | Promise<Properties | undefined>;

/** Which accounts to list. Times are UTC, ms since the epoch. */
export interface AccountsFilter {
  /** One status, or any of several. */
  readonly status?: AccountStatus | readonly AccountStatus[];
  /** Active at or after this time. */
  readonly activeSince?: number;
  /** Not active since this time. */
  readonly idleSince?: number;
  /** Accounts whose tokens are of this tenant. */
  readonly tenantId?: string;
  /** One user. */
  readonly homeAccountId?: string;
  /** One application, where several share a cache. */
  readonly clientId?: string;
  /** Default for `tokenCache.accounts()`: `user`. */
  readonly kind?: AccountKind;
}

/** One account as an operation speaks of it. */
export interface ActivitySubject {
  readonly accountKey: string;
  readonly clientId: string;
  readonly account: AccountRef;
  readonly role: ClientRole;
  readonly request: object;
}

export interface Activity {
  /** Before a sign-in's record is written: the row must not come after the tokens. */
  beforeSignIn(subject: ActivitySubject): Promise<void>;
  /** After it. */
  afterSignIn(subject: ActivitySubject, credentialFingerprint: string | undefined): Promise<void>;
  afterSuccess(subject: ActivitySubject, move: CredentialMove & { refreshed: boolean }): Promise<void>;
  afterFailure(subject: ActivitySubject, outcome: FailureOutcome, move: CredentialMove): Promise<void>;
  /**
   * Before a sign-out: looks at the row as it is, whatever any clock says.
   * @returns what removes it afterwards, unless a sign-in has written it since.
   */
  beforeSignOut(accountKey: string): Promise<() => Promise<void>>;
  /** After a sign-out, unless a newer sign-in has written the row since `signedOutAtMs`. */
  remove(accountKey: string, signedOutAtMs: number): Promise<void>;
  /**
   * Every account that matches, page by page. A row that its sign-in never confirmed, and whose tokens
   * `isGone` for certain, is tidied away instead.
   * @throws what the store throws
   */
  list(filter: AccountsFilter, isGone?: IsGone): AsyncIterableIterator<AccountActivity>;
  /** Tidies all such rows away. @returns how many. @throws what the store throws */
  tidy(isGone: IsGone): Promise<number>;
}

/** Whether an account has no tokens, as far as the store could be read; a failure is not a yes. */
export type IsGone = (account: AccountRef, accountKey: string) => Promise<boolean>;

export interface ActivityOptions {
  readonly store: AccountActivityStore;
  readonly sealer: Sealer;
  readonly namespace: string;
  readonly runtime: Runtime;
  readonly emit: Emit;
  readonly onBeforeWrite: OnBeforeActivityWrite<unknown> | undefined;
  /** True while rows change their names: the store may list one twice. */
  readonly mayRepeat?: boolean;
}

const MAX_ATTEMPTS = 8;
const PAGE_SIZE = 200;
/** A sign-in takes seconds between making its row and confirming it; after this it never will. */
const UNCONFIRMED_MS = 3_600_000;

/** A token that was only read is noted once in so long for an account and a role: an hour's use is one row's write. */
const NOTED_FOR_MS = 60_000;
const REMEMBERED_NOTES = 50_000;

export function createActivity(options: ActivityOptions): Activity {
  const { store, runtime, emit } = options;
  /** When an account's use was last noted here, by the monotonic clock. */
  const noted = new LRUCache<string, number>({ max: REMEMBERED_NOTES });

  function isNoted({ accountKey, role }: ActivitySubject): boolean {
    const name = `${role} ${accountKey}`;
    const nowMs = runtime.monotonicNow();
    const known = noted.get(name);
    if (known !== undefined && nowMs - known < NOTED_FOR_MS) return true;
    noted.set(name, nowMs);
    return false;
  }

  const properties = createPropertySealing(options);

  /** Reads, changes and writes one row; whatever goes wrong is an event, not an error of the caller's. */
  async function update(
    subject: Pick<ActivitySubject, "accountKey">,
    change: (row: AccountActivityRow | undefined) => Promise<AccountActivityRow | undefined>,
  ): Promise<void> {
    try {
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
        const known = await store.get(subject.accountKey);
        const row = await change(known?.row);
        if (!row) return;
        const how = { revision: randomId(runtime), ifRevision: known?.revision ?? null };
        if ((await store.put(row, how)).stored) return;
      }
    } catch (error) {
      emit({ type: "activity-failed", partition: partitionLabel(subject.accountKey), error });
    }
  }

  async function readRow(accountKey: string): Promise<AccountActivityRow | undefined> {
    try {
      return (await store.get(accountKey))?.row;
    } catch (error) {
      emit({ type: "activity-failed", partition: partitionLabel(accountKey), error });
      return undefined;
    }
  }

  async function removeUnless(
    accountKey: string,
    isNewer: (row: AccountActivityRow) => boolean,
  ): Promise<void> {
    try {
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
        const known = await store.get(accountKey);
        if (!known || isNewer(known.row)) return;
        if (await store.delete(accountKey, { ifRevision: known.revision })) return;
      }
    } catch (error) {
      emit({ type: "activity-failed", partition: partitionLabel(accountKey), error });
    }
  }

  function removeRow({ accountKey }: AccountActivityRow, ifRevision: string): Promise<boolean> {
    return store.delete(accountKey, { ifRevision });
  }

  async function* rows({ kind, ...filter }: AccountsFilter): AsyncIterableIterator<StoredActivity> {
    const isWanted = ({ row }: StoredActivity): boolean =>
      kind === undefined || kindOfRow(options.namespace, row.accountKey) === kind;
    let cursor: string | undefined;
    const listed = new Set<string>();
    do {
      const query = { ...filter, keyPrefix: `${options.namespace}:`, limit: PAGE_SIZE };
      const page = await store.list(cursor === undefined ? query : { ...query, cursor });
      for (const stored of page.rows.filter(isWanted)) {
        if (options.mayRepeat && listed.has(stored.row.accountKey)) continue;
        if (options.mayRepeat) listed.add(stored.row.accountKey);
        yield stored;
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  function isLeftOver(row: AccountActivityRow, isGone: IsGone): Promise<boolean> {
    const mayBe = !row.confirmed && runtime.now() - row.createdAt > UNCONFIRMED_MS;
    return mayBe ? isGone(row, row.accountKey) : Promise.resolve(false);
  }

  const changed = (
    subject: ActivitySubject,
    reason: ActivityContext<unknown>["reason"],
    row: AccountActivityRow,
  ): Promise<AccountActivityRow> => properties.apply(subject, reason, row);

  return {
    beforeSignIn: (subject) =>
      update(subject, async (row) => {
        if (row) return undefined;
        const { accountKey, clientId, account } = subject;
        return newRow(accountKey, clientId, account, runtime.now());
      }),
    afterSignIn: (subject, credentialFingerprint) =>
      update(subject, (row) => {
        const { accountKey, clientId, account } = subject;
        const nowMs = runtime.now();
        const known = row ?? newRow(accountKey, clientId, account, nowMs);
        return changed(subject, "sign-in", afterSignIn(known, account, credentialFingerprint, nowMs));
      }),
    async afterSuccess(subject, move) {
      // The row would cost three times what reading the token did.
      if (!move.refreshed && isNoted(subject)) return;
      await update(
        subject,
        async (row) =>
          row && changed(subject, "refresh", afterSuccess(row, subject.role, move, runtime.now())),
      );
    },
    afterFailure: (subject, outcome, move) =>
      update(subject, async (row) => {
        const next = row && afterFailure(row, subject.role, outcome, move, runtime.now());
        return next && changed(subject, "failure", next);
      }),
    async beforeSignOut(accountKey) {
      const before = await readRow(accountKey);
      return () =>
        removeUnless(
          accountKey,
          (row) => row.lastSignInAt !== before?.lastSignInAt || row.createdAt !== before?.createdAt,
        );
    },
    remove: (accountKey, signedOutAtMs) =>
      // A row made after the sign-out is a newer sign-in's, which may not have been confirmed yet.
      removeUnless(accountKey, (row) => Math.max(row.createdAt, row.lastSignInAt ?? 0) > signedOutAtMs),
    async *list(filter, isGone) {
      for await (const { row, revision } of rows(filter)) {
        if (isGone && (await isLeftOver(row, isGone))) await removeRow(row, revision);
        else {
          const kind = kindOfRow(options.namespace, row.accountKey);
          yield activityFromRow(row, kind, await properties.open(row));
        }
      }
    },
    async tidy(isGone) {
      let tidied = 0;
      for await (const { row, revision } of rows({}))
        if ((await isLeftOver(row, isGone)) && (await removeRow(row, revision))) tidied += 1;
      return tidied;
    },
  };
}

/** Where a row's properties may stand. */
export function propertiesContext(namespace: string, accountKey: string): SealContext {
  return { namespace, key: accountKey, kind: "activity" };
}

/** A row's properties, or why there are none to show. */
interface Opened {
  readonly value: unknown;
  readonly reason?: OpenFailureReason;
}

/** The application's properties: sealed, and bound to the row they belong to. */
function createPropertySealing(options: ActivityOptions): {
  open(row: AccountActivityRow): Promise<unknown>;
  apply(
    subject: ActivitySubject,
    reason: ActivityContext<unknown>["reason"],
    row: AccountActivityRow,
  ): Promise<AccountActivityRow>;
} {
  const { sealer, namespace, onBeforeWrite, emit } = options;
  const context = (key: string): SealContext => propertiesContext(namespace, key);

  async function opened(row: AccountActivityRow): Promise<Opened> {
    if (!row.sealedProperties) return { value: undefined };
    // A database may hand out text where bytes were.
    const bytes = row.sealedProperties instanceof Uint8Array ? row.sealedProperties : new Uint8Array();
    const result = await sealer.openOrAsk(bytes, context(row.accountKey));
    let reason: OpenFailureReason = "refused";
    try {
      if (result.ok) return { value: JSON.parse(result.plaintext.toString("utf8")) as unknown };
      reason = result.reason;
    } catch {
      // Authentic and no JSON: as little use as what is not authentic, and no reason to list nobody.
    }
    emit({ type: "record-unreadable", partition: partitionLabel(row.accountKey), reason });
    return { value: undefined, reason };
  }

  return {
    open: async (row) => (await opened(row)).value,
    async apply(subject, reason, row) {
      if (!onBeforeWrite) return row;
      const { account, role, request } = subject;
      try {
        const { value: properties, reason: problem } = await opened(row);
        // Not to be opened here and now: whoever has the key still has use for them.
        if (problem === "unknown-key" || problem === "unsupported") return row;
        const added = await onBeforeWrite({ account, role, reason, request, properties });
        if (added === undefined) return row;
        const bytes = Buffer.from(JSON.stringify(added));
        return { ...row, sealedProperties: sealer.seal(bytes, context(row.accountKey)) };
      } catch (error) {
        emit({ type: "activity-failed", partition: partitionLabel(row.accountKey), error });
        return row;
      }
    },
  };
}
