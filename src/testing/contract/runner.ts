/** What the contract suites need of a test runner, and how a list of clauses becomes tests. */

/** Registers one test. Vitest's, Jest's, Bun's and `node:test`'s `test` all fit. */
export type ContractTest = (title: string, body: () => Promise<void>) => unknown;

/** Groups tests. */
export type ContractDescribe = (title: string, body: () => void) => unknown;

/** The two matchers the suites use; {@link ContractExpect} of Vitest, Jest and Bun has them. */
export interface ContractMatchers {
  /** Fails unless both are the same (`Object.is`). */
  readonly toBe: (expected: unknown) => unknown;
  /** Fails unless both are equal in structure. */
  readonly toEqual: (expected: unknown) => unknown;
}

/** Starts an assertion; throws where it does not hold. */
export type ContractExpect = (actual: unknown) => ContractMatchers;

/** The runner, passed in, so that a suite runs under whichever one its user has. */
export interface ContractRunner {
  /** The backend, as it shall appear in the tests' titles. */
  readonly name: string;
  /** Registers a test, as `test` of Vitest or `node:test`. */
  readonly test: ContractTest;
  /** Fails its test by throwing. */
  readonly expect: ContractExpect;
  /** Without it the tests are not grouped. */
  readonly describe?: ContractDescribe;
}

/** One promise of a port, and the test that holds it. */
export interface Clause<Context> {
  readonly title: string;
  readonly check: (context: Context & { readonly expect: ContractExpect }) => Promise<void>;
}

/** Whatever a suite opens has to be closed after each test. */
export interface Closable {
  /** Closes what `open` opened. Called once after each test, also after a failed one. */
  readonly close: () => Promise<void>;
}

/** Registers one test for each clause; every test opens a backend of its own and closes it. */
export function registerClauses<Context extends Closable>(
  runner: ContractRunner,
  port: string,
  open: () => Promise<Context>,
  clauses: readonly Clause<Context>[],
): void {
  const { name, test, expect, describe } = runner;
  const register = (prefix: string): void => {
    for (const { title, check } of clauses) {
      test(`${prefix}${title}`, async () => {
        const context = await open();
        try {
          await check({ ...context, expect });
        } finally {
          await context.close();
        }
      });
    }
  };
  if (describe === undefined) register(`${name}, ${port}: `);
  else describe(`${name}, ${port}`, () => register(""));
}
