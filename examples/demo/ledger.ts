/** Writes the story down as it happens, and whether each part of it came out right. */
import { isDeepStrictEqual } from "node:util";

export interface Ledger {
  /** Begins a chapter. */
  chapter(title: string): void;
  /** Notes whether what happened is what should have. Returns it, and goes on either way. */
  check(claim: string, actual: unknown, expected: unknown): boolean;
  /** Notes that the story could not go on. */
  broke(error: unknown): void;
  readonly passed: number;
  readonly failed: number;
}

export function createLedger(print: (line: string) => void): Ledger {
  const count = { passed: 0, failed: 0 };
  let chapters = 0;
  return {
    chapter(title) {
      print(`\n${++chapters}. ${title}`);
    },
    check(claim, actual, expected) {
      const right = isDeepStrictEqual(actual, expected);
      count[right ? "passed" : "failed"] += 1;
      print(`   ${right ? "✓" : "✗"} ${claim}`);
      if (!right) {
        print(`       expected: ${JSON.stringify(expected)}`);
        print(`       happened: ${JSON.stringify(actual)}`);
      }
      return right;
    },
    broke(error) {
      count.failed += 1;
      print(`   ✗ the story broke off: ${(error as Error).message}`);
    },
    get passed() {
      return count.passed;
    },
    get failed() {
      return count.failed;
    },
  };
}
