/** What the checks share: who owns what, who signed in and out when, and what the store has lost. */
import { createHash } from "node:crypto";
import { oboPartition, userPartition } from "../../src/client/partitions.ts";
import { createSealer } from "../../src/envelope/sealer.ts";
import { withoutLabel } from "../../src/names/labels.ts";
import { createRecordCodec } from "../../src/partitions/codec.ts";
import type { PartitionRecord } from "../../src/partitions/record.ts";
import { parseAuthority } from "../../src/msal/issuer.ts";
import { longRunningPartition } from "../../src/partitions/partition.ts";
import { API_ID, HOME_ID, HOST, WEB_ID } from "../cast.ts";
import { jobKeyOf } from "../jobs.ts";
import type { Family } from "../ledger.ts";
import type { Operation } from "../operation.ts";
import { createWorldRuntime } from "../shared.ts";
import type { StoreRecord } from "../store.ts";
import type { World } from "../world.ts";

export interface Violation {
  readonly rule: string;
  readonly text: string;
  readonly step: number;
  /** Where in the history it was noticed. */
  readonly line: number;
}

const NAMESPACE = "tokenkeep";
/** The default of `coherenceBoundMs`. */
export const COHERENCE_BOUND_MS = 5_000;

const SIGN_INS: ReadonlySet<string> = new Set(["sign-in"]);
const SIGN_OUTS: ReadonlySet<string> = new Set(["sign-out", "sign-out-everywhere"]);
const JOB_BEGINNINGS: ReadonlySet<string> = new Set(["job-begin"]);
const JOB_STOPS: ReadonlySet<string> = new Set(["job-stop"]);

export interface Book {
  readonly world: World;
  readonly violation: Violation | undefined;
  fail(rule: string, text: string): void;
  userKey(user: string): string;
  /** The store key of whatever an answer of this operation is kept under; undefined for the application's own. */
  keyOf(operation: Operation): string | undefined;
  decode(key: string, record: StoreRecord): PartitionRecord;
  /** Whose assertion an on-behalf-of partition was made from. */
  assertionOwner(key: string): string | undefined;
  noteAssertion(assertion: string, user: string): void;
  noteLoss(key: string, why: string): void;
  /** When the store last lost what it had acknowledged under any of the keys; -Infinity: never. */
  lastLoss(...keys: readonly string[]): number;
  /**
   * True if the store ever went back in time for this key. Grants are counted in the record: a sign-in after that
   * may get one that this or that process remembers from before, and lose to it.
   */
  wentBack(key: string): boolean;
  /** The record of what the API has exchanged for a user. */
  accountKey(user: string): string;
  /** Every token that has ever been in the store. */
  readonly everStored: Set<string>;
  signIns(user: string): readonly Operation[];
  /** The store key of the user's long-running process. */
  jobKey(user: string): string;
  /** What began what lies where the operation's answer lies: sign-ins, or beginnings of the job. */
  beginnings(operation: Pick<Operation, "user" | "jobKey">): readonly Operation[];
  /** What ends it. */
  endings(operation: Pick<Operation, "user" | "app" | "jobKey">): readonly Operation[];
  /** Those that end what the application `app` keeps. */
  signOuts(user: string, app: "web" | "api"): readonly Operation[];
}

export function createBook(world: World): Book {
  const { scheduler, operations } = world;
  const runtime = createWorldRuntime(scheduler, world.prng);
  const codec = createRecordCodec({
    sealer: createSealer(world.keeper.all, runtime),
    namespace: NAMESPACE,
    runtime,
    emit: () => undefined,
  });
  const decoded = new WeakMap<StoreRecord, PartitionRecord>();
  const assertionOwners = new Map<string, string>();
  const losses = new Map<string, number>();
  const restored = new Set<string>();
  const authority = `https://${HOST}/${HOME_ID}`;
  let violation: Violation | undefined;

  const userKey = (user: string): string => {
    const { homeAccountId } = operations.account(user);
    return `${NAMESPACE}:${userPartition({ clientId: WEB_ID, authority }, homeAccountId).id}`;
  };
  const oboKey = (assertion: string): string =>
    `${NAMESPACE}:${oboPartition({ clientId: API_ID, authority }, assertion).id}`;

  const jobKey = (user: string): string => {
    const scope = { clientId: API_ID, issuer: parseAuthority({ authority }).issuer };
    return `${NAMESPACE}:${longRunningPartition(scope, jobKeyOf(user)).id}`;
  };
  const operationsOf = (user: string | undefined, kinds: ReadonlySet<string>): Operation[] =>
    operations.all.filter((operation) => operation.user === user && kinds.has(operation.kind));
  const signOutsOf = (user: string | undefined, app: "web" | "api"): Operation[] =>
    operationsOf(user, SIGN_OUTS).filter((operation) => operation.app === app);

  /** With every key there is: what these cannot open nobody can. */
  function opened(key: string, record: StoreRecord): PartitionRecord {
    try {
      return codec.decode(key, withoutLabel(record.bytes)) as PartitionRecord;
    } catch {
      return { type: "refused" };
    }
  }

  return {
    world,
    everStored: new Set(),
    get violation() {
      return violation;
    },
    fail(rule, text) {
      if (violation) return;
      violation = { rule, text, step: scheduler.steps, line: world.history.lines.length };
      world.history.add(`>>> ${rule}: ${text}`);
    },
    userKey,
    keyOf(operation) {
      if (operation.jobKey !== undefined) return jobKey(operation.user as string);
      if (operation.assertion !== undefined) return oboKey(operation.assertion);
      return operation.user === undefined ? undefined : userKey(operation.user);
    },
    decode(key, record) {
      const known = decoded.get(record);
      if (known) return known;
      const value = opened(key, record);
      decoded.set(record, value);
      return value;
    },
    assertionOwner: (key) => assertionOwners.get(key),
    noteAssertion: (assertion, user) => void assertionOwners.set(oboKey(assertion), user),
    noteLoss(key, why) {
      if (why === "restored") restored.add(key);
      // An account record expires when nothing that it speaks of can be alive: nothing is lost by that.
      if (why !== "expired" || !key.startsWith(`${NAMESPACE}:account:`)) losses.set(key, scheduler.nowMs);
      const label = createHash("sha256").update(key).digest("hex").slice(0, 6);
      world.history.add(`store: ${key.split(":")[1]} ${label} is lost (${why})`);
    },
    lastLoss: (...keys) => Math.max(...keys.map((key) => losses.get(key) ?? Number.NEGATIVE_INFINITY)),
    wentBack: (key) => restored.has(key),
    accountKey: (user) => userKey(user).replace(`:user:${WEB_ID}:`, `:account:${API_ID}:`),
    jobKey,
    beginnings: (of) => operationsOf(of.user, of.jobKey === undefined ? SIGN_INS : JOB_BEGINNINGS),
    endings: (of) =>
      of.jobKey === undefined
        ? signOutsOf(of.user, of.app)
        : [
            ...operationsOf(of.user, JOB_STOPS),
            ...signOutsOf(of.user, "api").filter(({ kind }) => kind === "sign-out-everywhere"),
          ],
    signIns: (user) => operationsOf(user, SIGN_INS),
    signOuts: signOutsOf,
  };
}

export function endOf(operation: Operation): number {
  return operation.end ?? Number.POSITIVE_INFINITY;
}

/** True once a sign-out is promised to hold: it has answered `done`, and the store has not lost it since. */
export function holds(book: Book, signOut: Operation, key: string): boolean {
  const { signedOut, user } = signOut;
  const lost = book.lastLoss(key, book.accountKey(user as string));
  return signedOut?.status === "done" && signedOut.durable && lost < signOut.begin;
}

/** True if the whole sign-in lay before the sign-out began: what came from it is over then. */
export function endedBy(family: Family | undefined, signOut: Operation): boolean {
  const signIn = family?.signIn;
  return signIn !== undefined && endOf(signIn) < signOut.begin;
}

/**
 * How long after a sign-out's end a sign-in may begin and still not be surely the later of the two: both are dated
 * by clocks that are off by up to `maxSkewMs`, and must be further apart than two clocks can be.
 */
function doubtMs(book: Book): number {
  return 4 * book.world.profile.maxSkewMs + 100;
}

/**
 * True if the sign-out may have ended what the sign-in began. It may if it came later, or at the same time. If it
 * came before, only where one of the two had to wait for the store and the clocks cannot tell: "in doubt the user
 * is signed out" (SECURITY.md, invariant 3). A process knows the order of what it did itself.
 */
export function mayHaveEnded(book: Book, signOut: Operation, signIn: Operation): boolean {
  if (endOf(signOut) >= signIn.begin) return true;
  const isPending = signOut.signedOut?.status === "pending";
  if (signIn.saved === true && !isPending) return false;
  if (isPending && signOut.process === signIn.process) return false;
  return signIn.begin <= endOf(signOut) + doubtMs(book);
}

/**
 * A job is dated by its assertion: where a stop or a sign-out everywhere had to wait, or came while the assertion
 * was already there, it may end a job that began later with it.
 */
export function mayHaveEndedJob(book: Book, ending: Operation, beginning: Operation): boolean {
  if (mayHaveEnded(book, ending, beginning)) return true;
  if (ending.kind === "job-stop" && ending.signedOut?.status === "done") return false;
  const facts = book.world.ledger.access(beginning.assertion ?? "");
  return !facts || facts.issuedAt <= endOf(ending) + doubtMs(book) + 1_000;
}

/** An assertion's age decides; clocks differ, and `iat` has whole seconds. */
export function isAssertionOver(book: Book, assertion: string, signOut: Operation): boolean {
  const facts = book.world.ledger.access(assertion);
  const slackMs = book.world.profile.maxSkewMs + 1_000;
  if (!facts || facts.issuedAt + slackMs >= signOut.begin) return false;
  // What the list has lost, a sign-out does not find.
  return book.lastLoss(book.accountKey(signOut.user as string)) < facts.issuedAt;
}
