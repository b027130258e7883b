import { createHash } from "node:crypto";
import type { TokenkeepEventListener, TokenkeepEvent } from "./events.ts";

/** Reports an event; never throws, whatever the listener does. */
export type Emit = (event: TokenkeepEvent) => void;

/** Telemetry must not break authentication: what a listener throws stays here. */
export function createEmit(listener: TokenkeepEventListener | undefined): Emit {
  if (!listener) return () => undefined;
  return (event) => {
    try {
      const answer: unknown = listener(event);
      if (answer instanceof Promise) answer.catch(() => undefined);
    } catch {
      // Deliberately nothing: there is nowhere better to report a broken reporter.
    }
  };
}

/** A short name for a partition in events and logs: links them without naming anybody. */
export function partitionLabel(key: string): string {
  return createHash("sha256").update(key).digest("base64url").slice(0, 12);
}
