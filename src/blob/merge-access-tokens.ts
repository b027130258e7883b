/** Merging access tokens, where an entry may fall to another under a different key. */
import { collide, displacesSlot, seconds, tokenSlots, type TokenSlot } from "./collisions.ts";
import type { AccessTokenEntity, CacheBlob } from "./entities.ts";
import { own } from "./json.ts";
import { differs, withForeignFields, type Sides } from "./merge-entities.ts";

/** What decides between an access token of mine and one of theirs that MSAL would not keep both. */
export interface Preference {
  /** My highest grant less theirs: positive if mine comes from the younger sign-in. */
  readonly grants: number;
  /** Mine answered a claims challenge. */
  readonly strengthens: boolean;
}

type AccessTokens = CacheBlob["AccessToken"];

/**
 * Both sides without collisions in, none out. A token of theirs that is as old as base falls to whatever
 * of mine displaces it, as it did in my MSAL. One that was saved meanwhile competes only if each would
 * displace the other; where just one would, both stay, as if they had been saved in the other order.
 */
export function mergeAccessTokens(sides: Sides<AccessTokens>, preference: Preference): AccessTokens {
  const { base, mine, theirs } = sides;
  const isNews = (before: AccessTokens, { key, token }: TokenSlot): boolean =>
    differs("AccessToken", own(before, key), token);
  const stored = tokenSlots(theirs);
  const news = tokenSlots(mine).filter((slot) => isNews(base, slot));
  const rivals = stored.filter((slot) => isNews(base, slot) && isNews(mine, slot));
  const beaten = losers(news, rivals, preference);
  const landed = news.filter((slot) => !beaten.has(slot));

  const falls = (slot: TokenSlot): boolean => {
    if (isNews(base, slot)) return beaten.has(slot);
    // What my MSAL kept beside its new tokens, they do not displace.
    return isNews(mine, slot) && landed.some((winner) => displacesSlot(winner, slot));
  };
  const result: Record<string, AccessTokenEntity> = {};
  const put = (key: string, token: AccessTokenEntity): void => {
    const entry = { base: own(base, key), mine: own(mine, key), theirs: own(theirs, key) };
    result[key] = entry.mine === undefined ? token : withForeignFields("AccessToken", token, entry);
  };
  for (const slot of stored) if (!falls(slot)) put(slot.key, slot.token);
  for (const slot of landed) put(slot.key, slot.token);
  return result;
}

/** The better ones are seated first; who collides with somebody seated on the other side has lost. */
function losers(
  mine: readonly TokenSlot[],
  theirs: readonly TokenSlot[],
  { grants, strengthens }: Preference,
): ReadonlySet<TokenSlot> {
  const isMine = new Set(mine);
  const bySide = grants || Number(strengthens);
  const order = (a: TokenSlot, b: TokenSlot): number => {
    const side = Number(isMine.has(b)) - Number(isMine.has(a));
    if (bySide !== 0) return side * Math.sign(bySide);
    return seconds(b.token.expires_on) - seconds(a.token.expires_on) || side;
  };
  const seated: TokenSlot[] = [];
  const lost = new Set<TokenSlot>();
  for (const slot of [...mine, ...theirs].toSorted(order)) {
    const loses = seated.some((other) => isMine.has(other) !== isMine.has(slot) && collide(other, slot));
    if (loses) lost.add(slot);
    else seated.push(slot);
  }
  return lost;
}
