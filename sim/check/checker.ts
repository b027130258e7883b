/** Reads the history as it happens and holds the promises of the design to it. Stops at the first one broken. */
import type { AccountActivityRow } from "../../src/store/account-activity-store.ts";
import type { Operation, ProviderCall } from "../operation.ts";
import type { StoreObserver } from "../store.ts";
import type { World } from "../world.ts";
import { checkAnswer } from "./answers.ts";
import { createBook, type Book, type Violation } from "./book.ts";
import { checkBenched } from "./benched.ts";
import { checkFailure } from "./failures.ts";
import { checkNotAwaited, checkRemembered } from "./provider.ts";
import { checkEnd } from "./finale.ts";
import { checkProviderCall } from "./refreshes.ts";
import { checkExpired } from "./retention.ts";
import { checkStaleness } from "./staleness.ts";
import { checkWritten } from "./stored.ts";

export interface Checker {
  readonly violation: Violation | undefined;
  readonly store: StoreObserver;
  ended(operation: Operation): void;
  providerAnswered(call: ProviderCall): void;
  /** A row of the activity index has been written. */
  benched(row: AccountActivityRow): void;
  /** Whose token an on-behalf-of partition will be made from. */
  assertionUsed(assertion: string, user: string): void;
  /** Something ended in a way that no caller would see. */
  broken(rule: string, text: string): void;
  /** After everything has healed and come to rest. */
  finish(): Promise<void>;
}

/** The world is handed over later, because the store that is observed is a part of it. */
export function createChecker(world: () => World): Checker {
  let made: Book | undefined;
  const book = (): Book => (made ??= createBook(world()));
  return {
    get violation() {
      return made?.violation;
    },
    store: {
      written: (key, before, after, who) => checkWritten(book(), key, before, after, who),
      lost(key, why, before) {
        if (why === "expired" && before) checkExpired(book(), key, before);
        book().noteLoss(key, why);
      },
    },
    ended(operation) {
      if (operation.state === "failed") return checkFailure(book(), operation);
      checkAnswer(book(), operation);
      checkNotAwaited(book(), operation);
      checkStaleness(book(), operation);
    },
    providerAnswered(call) {
      checkProviderCall(book(), call);
      checkRemembered(book(), call);
    },
    benched: (row) => checkBenched(book(), row),
    assertionUsed: (assertion, user) => book().noteAssertion(assertion, user),
    broken: (rule, text) => book().fail(rule, text),
    finish: () => checkEnd(book()),
  };
}
