/** After everything has healed: nothing waits for ever, and the index agrees with the tokens. */
import { keyIdOf } from "../../src/envelope/sealer.ts";
import { labelOf, withoutLabel } from "../../src/names/labels.ts";
import { short } from "../link.ts";
import { nameOf } from "../operation.ts";
import { endOf, holds, type Book } from "./book.ts";

export async function checkEnd(book: Book): Promise<void> {
  checkNothingHangs(book);
  checkNothingWaits(book);
  checkKeys(book);
  for (const user of book.world.operations.users) await checkActivity(book, user);
}

function checkNothingHangs(book: Book): void {
  const stuck = book.world.operations.all.find((operation) => operation.state === "running");
  if (stuck) book.fail("hang", `${nameOf(stuck)} on ${stuck.process.name} was never answered`);
}

/** Invariant 8: what could not be saved is replayed until the store has it. */
function checkNothingWaits(book: Book): void {
  for (const process of book.world.processes()) {
    const { entries } = process.cache.unsaved();
    if (entries > 0) book.fail("lost", `${process.name} still has ${entries} unsaved results`);
  }
}

/** Everybody has the keys by now, and nothing lies under an old one. */
function checkKeys(book: Book): void {
  const { keeper, names, profile, store } = book.world;
  if (!profile.keys) return;
  for (const process of book.world.processes()) {
    const { keyId } = process.cache.parts.sealer;
    if (keyId !== keeper.all.sealingKeyId) {
      return book.fail("keys", `${process.name} still seals under ${keyId}`);
    }
  }
  for (const [key, record] of store.records) {
    if (book.decode(key, record).type === "refused" || !names.isListed(key, record.bytes)) continue;
    const label = labelOf(record.bytes);
    for (const sealed of [withoutLabel(record.bytes), ...(label ? [label] : [])]) {
      const keyId = keyIdOf(sealed);
      if (keyId !== keeper.all.sealingKeyId) book.fail("keys", `${short(key)} still lies under ${keyId}`);
    }
  }
}

/** Activity is a superset of the tokens, and speaks of the credential that is there. */
async function checkActivity(book: Book, user: string): Promise<void> {
  const { store, names, faults, profile, ledger, operations } = book.world;
  const key = book.userKey(user);
  const stored = store.records.get(key);
  const record = stored && book.decode(key, stored);
  const row = (await names.rows(store.activity).get(key))?.row;
  const signedIn = book
    .signIns(user)
    .filter((signIn) => signIn.state === "ok")
    .at(-1);
  if (!signedIn || faults.troubledSince(signedIn.begin - 60_000)) return;
  const overlapping = book.signOuts(user, "web").some((signOut) => endOf(signOut) >= signedIn.begin - 60_000);
  if (record?.type === "tokens" && !row && !overlapping) {
    return book.fail("activity", `${user} has tokens, and accounts() does not list them`);
  }
  const family = [...ledger.families.values()].find((known) => known.signIn === signedIn);
  const failedSince = operations.all.some(
    (operation) =>
      operation.user === user &&
      operation.state === "failed" &&
      operation.begin >= endOf(signedIn) &&
      operation.app === "web",
  );
  if (
    row &&
    row.status !== "ok" &&
    !overlapping &&
    !failedSince &&
    family &&
    family.revokedAt === undefined
  ) {
    return book.fail("activity", `${user} is benched (${row.failureCode}) for a credential that is gone`);
  }
  const signedOut = book.signOuts(user, "web").find((signOut) => holds(book, signOut, key));
  const clear = profile.maxSkewMs <= 50 && signedOut && endOf(signedIn) + 1_000 < signedOut.begin;
  const later = book.signIns(user).some((signIn) => endOf(signIn) >= (signedOut?.begin ?? 0) - 1_000);
  if (row && clear && !later && !faults.troubledSince(0)) {
    book.fail("activity", `${user} signed out by #${signedOut.id}, and accounts() still lists them`);
  }
}
