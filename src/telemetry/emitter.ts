import { createHash } from "node:crypto";
import type { TokenkeepEventListener, TokenkeepEvent } from "./events.ts";

/** Reports an event; never throws, whatever the listener does. */
export type Emit = (event: TokenkeepEvent) => void;

/** Telemetry must not break authentication: what a listener throws stays here. */
export function createEmit(listener: TokenkeepEventListener | undefined): Emit {
  if (!listener) return warn;
  return (event) => {
    try {
      const answer: unknown = listener(event);
      if (answer instanceof Promise) answer.catch(() => undefined);
    } catch {
      // Deliberately nothing: there is nowhere better to report a broken reporter.
    }
  };
}

/** What nobody may miss, although nobody listens. */
function warn(event: TokenkeepEvent): void {
  if (event.type === "unsealed") {
    process.emitWarning('tokens are stored in clear, as `keys: "unsealed"` says', WARNING);
  } else if (event.type === "plaintext-accepted") {
    const until = new Date(event.untilMs).toISOString();
    process.emitWarning(
      `records in clear are accepted until ${until}, as \`acceptPlaintextUntil\` says`,
      WARNING,
    );
  }
}

const WARNING = Object.freeze({ type: "TokenkeepWarning", code: "TOKENKEEP_PLAINTEXT" });

/** A short name for a partition in events and logs: links them without naming anybody. */
export function partitionLabel(key: string): string {
  return createHash("sha256").update(key).digest("base64url").slice(0, 12);
}
