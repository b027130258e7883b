/** What may be written over what: isolation, nothing lost, nothing back after a sign-out. */
import type { CacheBlob } from "../../src/blob/entities.ts";
import { highestGrant } from "../../src/blob/provenance.ts";
import { keyIdOf } from "../../src/envelope/sealer.ts";
import { withoutLabel } from "../../src/names/labels.ts";
import type { AccountRecord, TokenRecord } from "../../src/partitions/record.ts";
import { WORLD_START_MS } from "../cast.ts";
import { short } from "../link.ts";
import type { AccessTokenFacts, Family, RefreshTokenFacts } from "../ledger.ts";
import type { Operation } from "../operation.ts";
import type { StoreRecord } from "../store.ts";
import { endedBy, endOf, holds, isAssertionOver, mayHaveEnded, mayHaveEndedJob, type Book } from "./book.ts";

export function checkWritten(
  book: Book,
  key: string,
  stored: StoreRecord | undefined,
  written: StoreRecord,
  who: number,
): void {
  const before = stored && book.decode(key, stored);
  if (stored && isKeyUnknown(book, stored)) {
    return book.fail("keys", `${short(key)} was written over, although nobody here could read it`);
  }
  const after = book.decode(key, written);
  book.world.history.add(`store: machine ${who} wrote ${short(key)}: ${describe(book, after)}`);
  if (after.type === "refused") return book.fail("isolation", "a record was written that cannot be opened");
  if (after.type === "tokens") {
    checkOwner(book, key, after);
    checkSignedOut(book, key, after);
    for (const secret of secretsOf(after.blob)) book.everStored.add(secret);
  }
  if (before?.type === "removed" && after.type === "tokens") {
    const grant = highestGrant(after.provenance);
    if (grant <= before.grant && Object.keys(after.blob.RefreshToken).length > 0) {
      return book.fail(
        "resurrection",
        `grant ${grant} came back over a sign-out that ended grant ${before.grant}`,
      );
    }
  }
  if (before?.type === "tokens" && (after.type === "tokens" || after.type === "removed")) {
    // A sign-out that has not landed yet lands together with the sign-in that follows it.
    const isSameLife = after.type === "tokens" && after.incarnation === before.incarnation;
    if (book.wentBack(key)) return;
    if (isSameLife) checkNothingLost(book, key, before, after);
    else checkRemovalMeant(book, key, before);
  }
  if (after.type === "account" && before?.type === "account") checkListKept(book, before, after);
}

/** Invariant 4: what is sealed under a key id that is unknown here is never followed by a blind write. */
function isKeyUnknown(book: Book, { bytes }: StoreRecord): boolean {
  const keyId = keyIdOf(withoutLabel(bytes));
  return keyId !== undefined && book.world.keeper.all.find(keyId) === undefined;
}

function describe(book: Book, record: ReturnType<Book["decode"]>): string {
  const { ledger } = book.world;
  if (record.type === "tokens") {
    const names = secretsOf(record.blob).map(
      (secret) => (ledger.refresh(secret) ?? ledger.access(secret))?.name ?? "?",
    );
    return `${record.incarnation.slice(0, 4)}/${record.seq} ${names.join(" ")}`;
  }
  if (record.type === "removed") return `removed, grant ${record.grant}`;
  if (record.type === "account")
    return `${record.partitions.length} listed, out ${record.signedOutAtMs ?? "-"}`;
  return record.type;
}

function secretsOf(blob: CacheBlob): string[] {
  return [...Object.values(blob.RefreshToken), ...Object.values(blob.AccessToken)].map(
    ({ secret }) => secret,
  );
}

/** Invariant 1: a partition holds its own subject's entries and no one else's. */
function checkOwner(book: Book, key: string, record: TokenRecord): void {
  const { ledger, operations } = book.world;
  const [, kind, clientId] = key.split(":");
  const owner =
    kind === "obo"
      ? book.assertionOwner(key)
      : operations.users.find((user) => key === (isJob(key) ? book.jobKey(user) : book.userKey(user)));
  if (kind !== "app" && owner === undefined)
    return book.fail("isolation", `${short(key)} is nobody's partition`);
  const subject = owner === undefined ? "" : operations.account(owner).homeAccountId;
  const { Account, AccessToken, RefreshToken, IdToken } = record.blob;
  for (const section of [Account, AccessToken, RefreshToken, IdToken]) {
    for (const entity of Object.values(section)) {
      if (entity.home_account_id !== subject) {
        return book.fail("isolation", `${short(key)} holds an entry of somebody else`);
      }
    }
  }
  for (const { secret } of Object.values(AccessToken)) {
    const facts = ledger.access(secret);
    // A token the ledger has not seen came with an answer that was lost on its way: it cannot be here.
    if (!facts) return book.fail("isolation", `${short(key)} holds a token that nobody was given`);
    if (facts.user !== owner || facts.clientId !== clientId) {
      return book.fail("isolation", `${short(key)} holds ${facts.name}, which is ${facts.user}'s`);
    }
  }
}

function isJob(key: string): boolean {
  return key.split(":")[1] === "long-running";
}

function endingsOf(book: Book, key: string, user: string): readonly Operation[] {
  const [, kind] = key.split(":");
  return book.endings({ user, app: kind === "obo" ? "api" : "web", ...(isJob(key) && { jobKey: key }) });
}

/** Invariant 3: after sign-out has returned `done`, nothing brings the account back but a later sign-in. */
function checkSignedOut(book: Book, key: string, record: TokenRecord): void {
  const { ledger } = book.world;
  for (const secret of secretsOf(record.blob)) {
    const facts: AccessTokenFacts | RefreshTokenFacts | undefined =
      ledger.refresh(secret) ?? ledger.access(secret);
    const user = facts?.family?.user;
    if (!facts || user === undefined) continue;
    const assertion = "assertion" in facts ? facts.assertion : undefined;
    const isObo = key.split(":")[1] === "obo";
    for (const signOut of endingsOf(book, key, user)) {
      if (!holds(book, signOut, key)) continue;
      const over = isObo
        ? assertion !== undefined &&
          signOut.kind === "sign-out-everywhere" &&
          isAssertionOver(book, assertion, signOut)
        : endedBy(facts.family, signOut);
      if (over) {
        return book.fail("resurrection", `${facts.name} was written after sign-out #${signOut.id} was done`);
      }
    }
  }
}

/** Invariant 2: what is stored is displaced by something newer of the same slot, or expires; else it stays. */
function checkNothingLost(book: Book, key: string, before: TokenRecord, after: TokenRecord): void {
  checkRefreshTokensKept(book, before, after);
  const { ledger, scheduler, profile } = book.world;
  const now = scheduler.nowMs;
  const kept = new Set(secretsOf(after.blob));
  const slack = 2 * profile.maxSkewMs + 2_000;
  const heirs = Object.values(after.blob.AccessToken).flatMap(({ secret }) => ledger.access(secret) ?? []);
  for (const { secret } of Object.values(before.blob.AccessToken)) {
    const lost = ledger.access(secret);
    if (kept.has(secret) || !lost || lost.expiresAt - slack <= now) continue;
    const heir = heirs.find(
      (candidate) =>
        candidate.tenantId === lost.tenantId &&
        candidate.scopes.some((scope) => lost.scopes.includes(scope)) &&
        // What had to wait for the store counts as new when it gets there.
        (candidate.operation?.saved === false ||
          candidate.issuedAt >= lost.issuedAt - slack ||
          isYoungerFamily(candidate, lost)),
    );
    if (!heir)
      return book.fail("lost", `${lost.name} went from ${short(key)} and nothing newer took its place`);
  }
}

function isYoungerFamily(candidate: AccessTokenFacts, lost: AccessTokenFacts): boolean {
  const [mine, theirs] = [candidate.family?.signIn, lost.family?.signIn];
  return mine !== undefined && theirs !== undefined && mine !== theirs && endOf(mine) >= theirs.begin;
}

function checkRefreshTokensKept(book: Book, before: TokenRecord, after: TokenRecord): void {
  const { ledger, profile } = book.world;
  for (const [slot, { secret }] of Object.entries(before.blob.RefreshToken)) {
    const lost = ledger.refresh(secret);
    const heirSecret = after.blob.RefreshToken[slot]?.secret;
    if (heirSecret === secret || !lost) continue;
    const heir = heirSecret === undefined ? undefined : ledger.refresh(heirSecret);
    // One that the provider has refused is worth nothing, and leaves.
    if (lost.family.revokedAt !== undefined) continue;
    if (!heir && wasCovered(book, lost.family.user)) continue;
    if (!heir) return book.fail("lost", `refresh token ${lost.name} went and none took its place`);
    if (heir.family === lost.family) {
      // Where old ones stay valid, several of one generation are equally good.
      const matters = profile.refreshTokens === "one-time" && lost.family.revokedAt === undefined;
      if (matters && heir.order < lost.order) {
        return book.fail("lost", `refresh token ${lost.name} was replaced by the older ${heir.name}`);
      }
    } else if (isOlderSignIn(heir.family, lost.family)) {
      return book.fail("lost", `refresh token ${lost.name} was replaced by ${heir.name} of an older sign-in`);
    }
  }
}

/**
 * A sign-in that had to wait "takes the highest grant + 1 when it merges" (design, section 6), over one that was
 * saved meanwhile; if the provider refuses its refresh token then, that one leaves, and the other is gone already.
 */
function wasCovered(book: Book, user: string): boolean {
  return [...book.world.ledger.families.values()].some(
    (family) => family.user === user && family.signIn?.saved === false && family.revokedAt !== undefined,
  );
}

/** The younger of two sign-ins is who merged later: "a sign-in takes the highest grant + 1 when it merges". */
function isOlderSignIn(heir: Family, lost: Family): boolean {
  if (!heir.signIn || !lost.signIn || heir.signIn.saved === false) return false;
  return endOf(heir.signIn) < lost.signIn.begin;
}

/** A sign-in is ended by a sign-out that came after it, or at the same time, or is still waiting to land. */
function checkRemovalMeant(book: Book, key: string, before: TokenRecord): void {
  const { ledger } = book.world;
  const families = secretsOf(before.blob).flatMap(
    (secret) => (ledger.refresh(secret) ?? ledger.access(secret))?.family ?? [],
  );
  const user = families[0]?.user;
  if (user === undefined) return;
  const signIns = families.flatMap((family) => family.signIn ?? []);
  const judge = isJob(key) ? mayHaveEndedJob : mayHaveEnded;
  const meant = endingsOf(book, key, user).some((ending) =>
    signIns.every((signIn) => judge(book, ending, signIn)),
  );
  if (!meant)
    book.fail("lost", `${short(key)} was removed although nobody signed out since the last sign-in`);
}

function checkListKept(book: Book, before: AccountRecord, after: AccountRecord): void {
  if ((before.signedOutAtMs ?? 0) > (after.signedOutAtMs ?? 0)) {
    return book.fail("lost", "the account record's sign-out stamp went back");
  }
  const soon = WORLD_START_MS + book.world.scheduler.nowMs + book.world.profile.maxSkewMs + 1_000;
  const listed = new Set(after.partitions.map((entry) => entry.id));
  const isStopped = book.world.operations.all.some(({ kind }) => kind === "job-stop");
  const gone = before.partitions.find(
    (entry) =>
      !listed.has(entry.id) && entry.expiresAtMs > soon && !(entry.kind === "long-running" && isStopped),
  );
  if (gone) book.fail("lost", "the account record lost a partition that had not expired");
}
