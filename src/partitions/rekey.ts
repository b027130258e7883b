/** Seals everything anew that is sealed under another key than today's, while the cache is in use. */
import { checkedFunction, checkedPositive, checkObject, checkOptionNames } from "../checks.ts";
import type { Sealer } from "../envelope/sealer.ts";
import { OptionsError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { createPace } from "../tiers/pace.ts";

/** How far a rekeying has come. Everything that was looked at is one of the other four. */
export interface RekeyProgress {
  /** Records, and rows of activity with properties, that were looked at. */
  readonly scanned: number;
  /** Sealed anew. */
  readonly resealed: number;
  /** Under today's key already, or gone. */
  readonly skipped: number;
  /** Could not be opened, and stay as they are; each is an event too. */
  readonly unreadable: number;
  /** Written by others time and again just then, under another key; another run will do them. */
  readonly conflicts: number;
}

/** What a rekeying has come to. */
export interface RekeyResult extends RekeyProgress {
  /** False if it was aborted, or the cache closed. */
  readonly done: boolean;
  /** Where to go on; absent when done. */
  readonly cursor?: string;
}

/** How {@link rekey} goes about it. */
export interface RekeyOptions {
  /** Told after every page, of up to 100; `cursor` is where another call would go on after a failure. */
  readonly onProgress?: (progress: RekeyProgress & Pick<RekeyResult, "cursor">) => void;
  /** From an earlier call of any process with the same keys. Counts begin at 0 again. */
  readonly cursor?: string;
  /** Records a second, at most. Default 200. */
  readonly perSecond?: number;
  /** Ends it after the record in hand: the result has `done: false` and the cursor. */
  readonly signal?: AbortSignal;
}

export type RekeyOutcome = "resealed" | "skipped" | "unreadable" | "conflicts";

/** One kind of what is sealed, page by page. */
export interface RekeyPass {
  page(
    limit: number,
    cursor: string | undefined,
  ): Promise<{
    readonly work: readonly (() => Promise<RekeyOutcome>)[];
    /** What the page has besides, and could not be opened here. */
    readonly unopened: number;
    readonly cursor?: string | undefined;
  }>;
}

export interface RekeyContext {
  /** In this order. */
  readonly passes: readonly RekeyPass[];
  readonly sealer: Sealer;
  readonly namespace: string;
  readonly runtime: Runtime;
  readonly closing: AbortSignal;
}

const KNOWN_OPTIONS = new Set(["onProgress", "cursor", "perSecond", "signal"]);
const DEFAULT_PER_SECOND = 200;
const PAGE_SIZE = 100;

/** @throws what the store throws, retryable; what was done until then is done. {@link OptionsError} */
export async function rekey(context: RekeyContext, options: RekeyOptions): Promise<RekeyResult> {
  checkObject(options, "options");
  checkOptionNames(options, KNOWN_OPTIONS, "rekey");
  const onProgress = checkedFunction(options.onProgress, "onProgress");
  const pace = createPace(
    context.runtime,
    checkedPositive(options.perSecond, "perSecond", DEFAULT_PER_SECOND),
  );
  const signal = checkedSignal(options.signal, context.closing);
  let place: Place | undefined =
    options.cursor === undefined ? FIRST : await openCursor(context, options.cursor);
  const counts = { scanned: 0, resealed: 0, skipped: 0, unreadable: 0, conflicts: 0 };
  while (place) {
    const page = await context.passes[place.pass]!.page(PAGE_SIZE, place.after);
    for (const work of page.work) {
      await pace.next(signal);
      // The page is begun anew then: what has been done in it is found done.
      if (signal.aborted) return { ...counts, done: false, cursor: sealCursor(context, place) };
      counts[await work()] += 1;
      counts.scanned += 1;
    }
    counts.unreadable += page.unopened;
    counts.scanned += page.unopened;
    place = placeAfter(context, place, page.cursor);
    onProgress?.({ ...counts, ...(place && { cursor: sealCursor(context, place) }) });
    if (place && signal.aborted) return { ...counts, done: false, cursor: sealCursor(context, place) };
  }
  return { ...counts, done: true };
}

/** The next page to be looked at. */
interface Place {
  readonly pass: number;
  readonly after: string | undefined;
}

const FIRST: Place = Object.freeze({ pass: 0, after: undefined });

function placeAfter(context: RekeyContext, place: Place, after: string | undefined): Place | undefined {
  if (after !== undefined) return { pass: place.pass, after };
  return place.pass + 1 < context.passes.length ? { pass: place.pass + 1, after: undefined } : undefined;
}

function cursorContext({ namespace }: RekeyContext): { namespace: string; key: string; kind: string } {
  return { namespace, key: "cursor", kind: "rekey" };
}

/** Sealed: a store's own cursor is a key, which names a user, and this one ends in logs. */
function sealCursor(context: RekeyContext, place: Place): string {
  const text = JSON.stringify({ ...place, of: context.passes.length });
  const bytes = context.sealer.seal(Buffer.from(text), cursorContext(context));
  return Buffer.from(bytes).toString("base64url");
}

async function openCursor(context: RekeyContext, cursor: string): Promise<Place> {
  const bytes = Buffer.from(typeof cursor === "string" ? cursor : "", "base64url");
  const opened = await context.sealer.openOrAsk(bytes, cursorContext(context));
  if (!opened.ok) {
    throw new OptionsError("cursor", "is none of an earlier rekey of this cache, or the keys are others");
  }
  const { of, ...place } = JSON.parse(opened.plaintext.toString("utf8")) as Place & { readonly of: number };
  // A cache without a store has rows only: the same number means another pass there.
  if (of === context.passes.length) return place;
  throw new OptionsError(
    "cursor",
    "is of a rekey over other stores: go on with the same ones, or begin anew",
  );
}

function checkedSignal(signal: AbortSignal | undefined, closing: AbortSignal): AbortSignal {
  if (signal === undefined) return closing;
  if (signal instanceof AbortSignal) return AbortSignal.any([signal, closing]);
  throw new OptionsError("signal", "must be an AbortSignal");
}
