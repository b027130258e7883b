/**
 * Switches one mechanism off, so that the checker can show that it would be missed. The code itself knows nothing
 * of this: its source is rewritten while it is loaded, and a text that is no longer there fails the run.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("../src/", import.meta.url));

interface Rewrite {
  /** Under `src/`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

interface Break {
  /** What the mechanism is for. */
  readonly about: string;
  readonly rewrites?: readonly Rewrite[];
  /** A mechanism of the store's, which is simulated. */
  readonly compareAndSwap?: true;
}

const BREAKS: Readonly<Record<string, Break>> = {
  "compare-and-swap": { about: "the store writes whatever it is given", compareAndSwap: true },
  merge: {
    about: "a write replaces what others have written meanwhile",
    rewrites: [
      {
        file: "blob/merge.ts",
        find: "  const base = input.base;\n",
        replace:
          "  if (input) return { blob: input.mine, provenance: input.provenance.mine };\n  const base = input.base;\n",
      },
    ],
  },
  provenance: {
    about: "of two refresh tokens the one that is written last stays",
    rewrites: [
      {
        file: "blob/provenance.ts",
        find: "return x.grant - y.grant || x.generation - y.generation;",
        replace: "return x && y ? 1 : 1;",
      },
    ],
  },
  "replace-on-load": {
    about: "one MSAL client serves everybody, and what is loaded is added to its memory",
    rewrites: [
      {
        file: "msal/memory.ts",
        find: "if (!key.startsWith(AUTHORITY_METADATA_PREFIX)) delete store[key];",
        replace: "void key;",
      },
      {
        file: "msal/operation.ts",
        find: "  const client = settings.createClient({",
        replace:
          "  const shared = settings.network as { client?: C; plugin?: ICachePlugin };\n" +
          "  const mine = binding.plugin;\n" +
          "  const plugin: ICachePlugin = {\n" +
          "    beforeCacheAccess: (c) => shared.plugin!.beforeCacheAccess(c),\n" +
          "    afterCacheAccess: (c) => shared.plugin!.afterCacheAccess(c),\n" +
          "  };\n" +
          "  shared.plugin = mine;\n" +
          "  binding.plugin = plugin;\n" +
          "  const client = shared.client ??= settings.createClient({",
      },
    ],
  },
  "own-partition": {
    about: "every user's tokens lie under one key",
    rewrites: [
      {
        file: "partitions/partition.ts",
        find: 'return make("user", scope, [canonicalHomeAccountId(subject)], owner);',
        replace: 'return make("user", scope, ["everybody"], subject && owner);',
      },
    ],
  },
  "lease re-read": {
    about: "whoever gets the lease asks the provider, whatever the one before has got",
    rewrites: [
      {
        file: "partitions/lease.ts",
        find: "return (await lookAgain(leased)) ?? (await leased.work(held.guard));",
        replace: "return await leased.work(held.guard);",
      },
    ],
  },
  lease: {
    about: "everybody asks the provider at the same time",
    rewrites: [
      {
        file: "partitions/lease.ts",
        find: "if (!lease) return (await lastLook(leased))",
        replace: "if (lease !== null) return (await lastLook(leased))",
      },
    ],
  },
  "lease per partition": {
    about: "in one-time mode requests for different resources do not wait for each other",
    rewrites: [
      {
        file: "client/context.ts",
        find: 'context.parts.refreshTokens === "one-time" ? "" : request',
        replace: "request",
      },
    ],
  },
  "removal marker": {
    about: "a sign-out leaves nothing behind",
    rewrites: [
      {
        file: "partitions/sign-out.ts",
        find: "return await core.tiers.put(key, marker, options);",
        replace:
          "if (options.ifVersion !== null) await core.tiers.delete(key, options.ifVersion);\n" +
          '    return { stored: true, version: "" };',
      },
    ],
  },
  incarnation: {
    about: "what an ended life had acquired is added to the next one",
    rewrites: [
      {
        file: "partitions/change.ts",
        find: 'if (current && current.incarnation !== base.incarnation) return { superseded: "incarnation" };',
        replace: "",
      },
    ],
  },
  "order of a waiting sign-in": {
    about: "a sign-in that is replayed survives any sign-out",
    rewrites: [
      {
        file: "partitions/change.ts",
        find: "return !knewOfIt && !isSurelyLater(signedInAtMs, endedMs, maxClockSkewMs);",
        replace: "return !knewOfIt && signedInAtMs === maxClockSkewMs && isSurelyLater(0, 0, 0);",
      },
    ],
  },
  "order of a waiting sign-out": {
    about: "a sign-out that is replayed ends whatever is there by then",
    rewrites: [
      {
        file: "partitions/order.ts",
        find: "return !isSurelyLater(current.signedInAtMs, removal.removedAtMs, maxClockSkewMs);",
        replace: "return maxClockSkewMs >= 0;",
      },
    ],
  },
  "clock skew": {
    about: "what waited is put in order by clocks that are taken to be equal",
    rewrites: [
      {
        file: "partitions/order.ts",
        find: "return atMs !== undefined && atMs > thanMs + maxClockSkewMs;",
        replace: "return atMs !== undefined && atMs > thanMs + 0 * maxClockSkewMs;",
      },
    ],
  },
  "sign-out before a life": {
    about: "a sign-in that waited joins whatever life has begun since",
    rewrites: [
      {
        file: "partitions/change.ts",
        find: "return hasLanded(current, signInId) ? undefined : signOutBefore(current);",
        replace:
          'return current?.type === "removed" ? current.removedAtMs : hasLanded(current, signInId) ? undefined : undefined;',
      },
    ],
  },
  "look before a challenge": {
    about: "what memory says of somebody is believed, also while the store cannot confirm it",
    rewrites: [
      {
        file: "client/renew.ts",
        find: "if (renewal.unconfirmed !== undefined) throw renewal.unconfirmed;",
        replace: "void renewal.unconfirmed;",
      },
    ],
  },
  "unsaved overlay": {
    about: "what could not be saved is not shown on what the store says",
    rewrites: [
      {
        file: "partitions/core.ts",
        find: "return core.unsaved.size === 0 ? current : overlay(current, core.unsaved.get(key), applyContext(core));",
        replace: "return key === '' ? overlay(current, undefined, applyContext(core)) : current;",
      },
    ],
  },
  replay: {
    about: "what could not be saved is never tried again",
    rewrites: [
      {
        file: "partitions/replay.ts",
        find: "if (closed || (timer",
        replace: "if (!closed || (timer",
      },
    ],
  },
  "own results": {
    about: "a replayed sign-in brings along what it was built on",
    rewrites: [
      {
        file: "partitions/overlay.ts",
        find: "mine: entry.creates && there ? ownResults(entry, there, over) : entry.record.blob,",
        replace: "mine: there ? entry.record.blob : entry.record.blob,",
      },
    ],
  },
  "fill token": {
    about: "a reading that was overtaken by a sign-out is kept in memory",
    rewrites: [
      {
        file: "tiers/fills.ts",
        find: "const token: FillToken = { spoiled: false };",
        replace:
          "const token: FillToken = Object.freeze({ get spoiled() { return false; }, set spoiled(_) {} });",
      },
      { file: "tiers/two-tier.ts", find: "(there && isLater(", replace: "(there && !entry && isLater(" },
    ],
  },
  "detached flights": {
    about: "whoever comes after a sign-out joins a call from before it",
    rewrites: [
      {
        file: "partitions/sign-out.ts",
        find: "  core.flights.detach(key);\n  // Queued first",
        replace: "  // Queued first",
      },
      {
        file: "partitions/sign-out.ts",
        find: "  // A call that began meanwhile may have read what was there before the marker landed: nobody joins it any more.\n  core.flights.detach(key);\n",
        replace: "",
      },
    ],
  },
  announcement: {
    about: "nobody is told of a sign-out",
    rewrites: [
      {
        file: "tiers/two-tier.ts",
        find: 'if (backplane) await calls.run("writes", "publish", () => backplane.publish({ key, version }));',
        replace: "void version;",
      },
    ],
  },
  "coherence lease": {
    about: "copies in memory are trusted for ever",
    rewrites: [
      {
        file: "tiers/two-tier.ts",
        find: "return lease.covers(counter, clock) || (entry !== undefined && isBefore(clock, entry.trustedUntil));",
        replace: "return void [isBefore, counter] === void entry;",
      },
    ],
  },
  "maximum staleness": {
    about: "while the store fails copies are served for ever",
    rewrites: [
      {
        file: "tiers/two-tier.ts",
        find: "if (!held || runtime.now() >= held.keep.expiresAtMs) return false;",
        replace: "if (!held) return false;\n    if (held) return true;",
      },
    ],
  },
  budget: {
    about: "who asks a store that does not answer waits for ever",
    rewrites: [{ file: "tiers/deadlines.ts", find: "    waiting.giveUp();\n", replace: "" }],
  },
  "half-open trial": {
    about: "a store that has failed several times is never asked again",
    rewrites: [
      {
        file: "tiers/breaker.ts",
        find: "return policy.state === CircuitState.Open && runtime.monotonicNow() >= triesFrom;",
        replace: "return policy.state === CircuitState.Open && runtime.monotonicNow() < triesFrom - 1e12;",
      },
    ],
  },
  "change counter": {
    about: "copies in memory are trusted while the store answers, whatever its counter says",
    rewrites: [
      {
        file: "tiers/coherence.ts",
        find: "counter === lastRead.counter &&",
        replace: "",
      },
    ],
  },
  "both clocks": {
    about: "a machine that has slept takes its copies to be as young as they were",
    rewrites: [
      {
        file: "tiers/coherence.ts",
        find: "return now.monotonicMs < end.monotonicMs && now.wallMs < end.wallMs;",
        replace: "return now.monotonicMs < end.monotonicMs;",
      },
    ],
  },
  "version freshness": {
    about: "a copy counts as confirmed by whatever version the store has",
    rewrites: [
      {
        file: "tiers/two-tier.ts",
        find: 'if (stored !== "unchanged") {',
        replace: 'if (stored !== "unchanged" && !held) {',
      },
    ],
  },
  "retention by use": {
    about: "what is only read is kept no longer for that",
    rewrites: [
      {
        file: "tiers/retain.ts",
        find: "      void touch(key, entry, lifetime.ttlMs);\n",
        replace: "      void touch;\n",
      },
    ],
  },
  "renewal in the background": {
    about: "whoever comes when a token should be renewed waits for it",
    rewrites: [
      {
        file: "client/answer.ts",
        find: "if (hit.due) requestLater(context, own(), leased);\n    return Promise.resolve(hit.result);",
        replace:
          "const record = context.parts.partitions.peek(flow.partition);\n" +
          '    const state = { status: "present", record, level: "L1" };\n' +
          "    if (!hit.due) return Promise.resolve(hit.result);\n" +
          "    const guard = () => Promise.resolve();\n" +
          "    return leased(context, flow).ask({ state, guard }).then(() => hit.result);",
      },
    ],
  },
  "one renewal ahead of time": {
    about: "everybody who sees that a token should be renewed does so",
    rewrites: [
      {
        file: "partitions/lease.ts",
        find: "() => leased.recheck()) : undefined;",
        replace: "() => leased.recheck()) : ((await leased.recheck()) ?? leased.work(free));",
      },
    ],
  },
  "memory of refusals": {
    about: "what the provider has refused is asked for again at once",
    rewrites: [
      { file: "msal/failure-memory.ts", find: "      if (holds) {", replace: "      if (holds && !url) {" },
    ],
  },
  "trial after a refusal": {
    about: "what the provider has refused once is never asked for again",
    rewrites: [
      {
        file: "msal/failure-memory.ts",
        find: "Math.max(failure.untilMs, failure.triedUntilMs) > runtime.monotonicNow()",
        replace: "failure.untilMs + failure.triedUntilMs > 0",
      },
    ],
  },
  strengthening: {
    about: "nobody is told of a step-up or a second sign-in",
    rewrites: [
      {
        file: "partitions/save.ts",
        find: "if (change.strengthens && there) await",
        replace: "if (change.strengthens && there && attempt < 0) await",
      },
    ],
  },
  "read-back": {
    about: "a write whose answer was lost counts as landed",
    rewrites: [
      {
        file: "tiers/record-calls.ts",
        find: "if ((there?.version ?? null) === how.ifVersion) throw failure;",
        replace: "if (failure) return { current: { bytes, version: how.version } };",
      },
    ],
  },
  "account record": {
    about: "what was exchanged for a user is not listed anywhere",
    rewrites: [
      {
        file: "client/assertion.ts",
        find: "const { record, listed } = await context.parts.partitions.list(owner, entry, options);",
        replace:
          "const { record, listed } = { record: { signedOutAtMs: undefined }, listed: owner !== undefined };\n  void [entry, options];",
      },
    ],
  },
  "assertion age": {
    about: "an assertion from before a sign-out everywhere is exchanged all the same",
    rewrites: [
      {
        file: "client/assertion.ts",
        find: "if (isOlder(request.oboAssertion, record.signedOutAtMs)) throw signedOut();",
        replace: "void isOlder;",
      },
    ],
  },
  "stop of a job": {
    about: "a long-running process that was stopped goes on",
    rewrites: [
      {
        file: "client/long-running.ts",
        find: "const outcome = await partitions.signOut(partition);",
        replace:
          'const outcome = await Promise.resolve({ status: "done", durable: true } as SignOutOutcome);\n  if (listed === null) await partitions.signOut(partition);',
      },
    ],
  },
  "jobs of a user": {
    about: "a sign-out everywhere does not find the user's long-running processes",
    rewrites: [
      {
        file: "partitions/partitions.ts",
        find: 'return record.partitions.map((entry) => partitionFromId(entry.id, account.homeAccountId ?? ""));',
        replace:
          'return record.partitions.filter(({ kind }) => kind === "obo").map((entry) => partitionFromId(entry.id, account.homeAccountId ?? ""));',
      },
      {
        file: "client/sign-out.ts",
        find: "if (accountKey !== ownKey && isTheirs) others.push(found);",
        replace: 'if (accountKey !== ownKey && isTheirs && found.kind === "user") others.push(found);',
      },
    ],
  },
  adoption: {
    about: "who is refused does not look whether there is a newer refresh token",
    rewrites: [
      {
        file: "client/renew.ts",
        find: "if (refused < MAX_REFUSED && isRefreshTokenRefused(outcome.error)) {",
        replace: "if (refused > MAX_REFUSED && isRefreshTokenRefused(outcome.error)) {",
      },
    ],
  },
  "record binding": {
    about: "a record opens in whatever place it lies",
    rewrites: [
      {
        file: "envelope/context.ts",
        find: "const texts = [context.namespace, context.key, context.kind];",
        replace: "const texts = [context.namespace];",
      },
    ],
  },
  "unknown key is retryable": {
    about: "a record under a key that is not here counts as forged",
    rewrites: [
      {
        file: "partitions/codec.ts",
        find: 'if (reason === "refused") return { type: "refused" };',
        replace: 'if (reason !== "unsupported") return { type: "refused" };',
      },
    ],
  },
  "reload on unknown key": {
    about: "nobody asks for a key that is not here",
    rewrites: [
      {
        file: "envelope/sealer.ts",
        find: "return opened === unknownKey && isLive(keys) ? openLater(keys, bytes, context) : opened;",
        replace: "return opened !== unknownKey && isLive(keys) ? openLater(keys, bytes, context) : opened;",
      },
    ],
  },
  "limit of asking": {
    about: "every made-up key id asks whoever keeps the keys",
    rewrites: [
      {
        file: "envelope/live-ring.ts",
        find: "if (!loading && mayAsk()) void",
        replace: "if (!loading && (mayAsk() || ring)) void",
      },
    ],
  },
  "periodic reload": {
    about: "a process gets other keys only where it cannot do without",
    rewrites: [
      {
        file: "envelope/live-ring.ts",
        find: "    if (closing.signal.aborted) return;\n    timer",
        replace: "    if (!closing.signal.aborted) return;\n    timer",
      },
    ],
  },
  "sealing anew": {
    about: "what is under an old key is taken to be done",
    rewrites: [
      {
        file: "partitions/rekey-records.ts",
        find: 'if (bytes === undefined) return "skipped";',
        replace: 'if (typeof bytes !== "string") return "skipped";',
      },
    ],
  },
  "label of what is found": {
    about: "where names are hidden, nothing is found by its label",
    rewrites: [
      {
        file: "names/named-store.ts",
        find: 'if ("key" in found) return found.key;',
        replace: 'if ("key" in found) return undefined;',
      },
    ],
  },
  "credential of an outcome": {
    about: "a failure benches an account that has signed in again meanwhile",
    rewrites: [
      {
        file: "activity/row.ts",
        find: "function hasMovedOn(row: AccountActivityRow, move: CredentialMove): boolean {",
        replace:
          "function hasMovedOn(row: AccountActivityRow, move: CredentialMove): boolean {\n  if (row) return false;",
      },
    ],
  },
};

export const BREAK_NAMES: readonly string[] = Object.keys(BREAKS);

interface InstalledBreak {
  readonly world: { readonly compareAndSwap?: boolean };
  /** @throws if a file that had to be rewritten was never loaded. */
  assertApplied(): void;
}

/** Must come before the first import of anything under `src/`. */
export function installBreak(name: string): InstalledBreak {
  const chosen = BREAKS[name];
  if (!chosen) throw new TypeError(`there is no break ${JSON.stringify(name)}; --break list names them`);
  const waiting = new Set(chosen.rewrites);
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      const here = [...waiting].filter(
        ({ file }) => url.startsWith("file:") && fileURLToPath(url) === SOURCE + file,
      );
      if (here.length === 0) return loaded;
      let text = Buffer.from(loaded.source as Uint8Array).toString("utf8");
      for (const rewrite of here) {
        text = applied(name, text, rewrite);
        waiting.delete(rewrite);
      }
      return { ...loaded, source: text };
    },
  });
  return {
    world: chosen.compareAndSwap ? { compareAndSwap: true } : {},
    assertApplied() {
      const [missed] = waiting;
      if (missed) throw new Error(`--break ${name}: src/${missed.file} was never loaded`);
    },
  };
}

/** The files that a break rewrites, as it leaves them. @throws if a text to replace is not there just once. */
export function rewrittenSources(name: string): readonly string[] {
  const rewrites = BREAKS[name]?.rewrites ?? [];
  return rewrites.map((rewrite) => applied(name, readFileSync(SOURCE + rewrite.file, "utf8"), rewrite));
}

function applied(name: string, text: string, { file, find, replace }: Rewrite): string {
  const times = text.split(find).length - 1;
  if (times === 1) return text.replace(find, () => replace);
  throw new Error(
    `--break ${name}: the text to replace is in src/${file} ${times} times, not once:\n  ${find}`,
  );
}
