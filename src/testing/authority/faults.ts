/** Failures on demand, and holding calls back. Applies to the token endpoint. */
import { sleep, type Runtime } from "../../runtime.ts";
import type { CallKind } from "./call-log.ts";

/**
 * - `429`, `500`, `503`: that status, nothing happens at the authority;
 * - `slow`: the call waits `delayMs` and then succeeds;
 * - `reset`: the connection breaks before anything happens;
 * - `lost-answer`: the call is carried out (a refresh token is spent), then the connection breaks.
 */
export type FaultKind = "429" | "500" | "503" | "slow" | "lost-answer" | "reset";

/** What shall fail. */
export interface FaultOptions {
  /** What goes wrong. */
  readonly kind: FaultKind;
  /** How many calls. Default 1. */
  readonly count?: number;
  /** Sent as `Retry-After`, seconds. Default for `429`: 1; otherwise none. */
  readonly retryAfterSeconds?: number;
  /** For `slow`, milliseconds of the runtime's time. Default 1,000. */
  readonly delayMs?: number;
  /** Only calls of this grant. */
  readonly grant?: CallKind;
  /** Only calls about this user: sign-in name or object id. */
  readonly user?: string;
}

/** A fault on its way. */
export interface Fault {
  readonly kind: FaultKind;
  readonly retryAfterSeconds: number | undefined;
  readonly delayMs: number;
}

/** The authority's troubles. */
export interface Faults {
  /** Queues failures; earlier ones are used up first. `user` has been resolved to a sign-in name. */
  failNext(options: FaultOptions): void;
  /** The fault for this call, used up. */
  take(grant: CallKind, user: string | undefined): Fault | undefined;
  /** From now on calls wait before anything happens to them. */
  pause(): void;
  /** Lets all of them go. */
  resume(): void;
  /** Resolves when at least `count` calls are being held. */
  whenHeld(count: number): Promise<void>;
  /** Resolves at once, or when a pause ends. */
  pass(): Promise<void>;
  /** Forgets faults and ends a pause. */
  clear(): void;
}

/** Nothing wrong yet. */
export function createFaults(): Faults {
  let queue: { readonly options: FaultOptions; left: number }[] = [];
  let paused = false;
  let held: (() => void)[] = [];
  let watchers: { readonly count: number; readonly resolve: () => void }[] = [];
  const resume = (): void => {
    paused = false;
    const released = held;
    held = [];
    for (const release of released) release();
  };
  return {
    failNext(options) {
      queue.push({ options, left: options.count ?? 1 });
    },
    take(grant, user) {
      const entry = queue.find(
        ({ options }) =>
          (options.grant === undefined || options.grant === grant) &&
          (options.user === undefined || options.user === user),
      );
      if (entry === undefined) return undefined;
      entry.left -= 1;
      if (entry.left <= 0) queue = queue.filter((other) => other !== entry);
      return toFault(entry.options);
    },
    pause() {
      paused = true;
    },
    resume,
    whenHeld(count) {
      if (held.length >= count) return Promise.resolve();
      return new Promise((resolve) => watchers.push({ count, resolve }));
    },
    pass() {
      if (!paused) return Promise.resolve();
      return new Promise((resolve) => {
        held.push(resolve);
        for (const watcher of watchers) if (held.length >= watcher.count) watcher.resolve();
        watchers = watchers.filter((watcher) => held.length < watcher.count);
      });
    },
    clear() {
      queue = [];
      resume();
    },
  };
}

function toFault(options: FaultOptions): Fault {
  return {
    kind: options.kind,
    retryAfterSeconds: options.retryAfterSeconds ?? (options.kind === "429" ? 1 : undefined),
    delayMs: options.kind === "slow" ? (options.delayMs ?? 1000) : 0,
  };
}

/** Waits as long as the fault says. */
export async function delayFor(runtime: Runtime, fault: Fault | undefined): Promise<void> {
  if (fault !== undefined && fault.delayMs > 0) await sleep(runtime, fault.delayMs);
}
