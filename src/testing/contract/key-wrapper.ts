/** The published contract of a {@link KeyWrapper}: one test for each clause of the port's docstrings. */
import type { KeyWrapper } from "../../envelope/key-wrapper.ts";
import { keyWrapperFailureClauses } from "./key-wrapper-failures.ts";
import { keyWrapperClauses } from "./key-wrapper-keys.ts";
import { registerClauses, type Closable, type ContractRunner } from "./runner.ts";

/** A wrapper and its service, opened for one test. */
export interface OpenedKeyWrapper extends Closable {
  /** The wrapper under test. */
  readonly wrapper: KeyWrapper;
  /** Another wrapper for the same key of the service, as another process would have. Default: `wrapper` itself. */
  readonly second?: KeyWrapper;
  /** Gives the service's key a new version. */
  readonly rotate?: () => Promise<void> | void;
  /** Makes every later call to the service fail: stops the server, or breaks the connection. */
  readonly fail?: () => Promise<void> | void;
  /** Lets every later call to the service wait for ever. */
  readonly hang?: () => Promise<void> | void;
  /** Takes the right to unwrap away. */
  readonly forbid?: () => Promise<void> | void;
}

/** Which of {@link OpenedKeyWrapper}'s functions `open` gives; the clauses on others are not registered. */
export interface KeyWrapperCapabilities {
  /** The test can make a new version of the wrapping key. */
  readonly canRotate?: boolean;
  /** The test can make the provider fail. */
  readonly canFail?: boolean;
  /** The test can keep the provider from answering. */
  readonly canHang?: boolean;
  /** The test can take the permission away. */
  readonly canForbid?: boolean;
}

/** What the contract of a key wrapper is run with. */
export interface KeyWrapperContractOptions extends ContractRunner {
  /** Opens a fresh one for each test. */
  readonly open: () => Promise<OpenedKeyWrapper>;
  /** What the backend can do; tests of anything else are left out. */
  readonly capabilities?: KeyWrapperCapabilities;
}

/** What a clause works with: the opened wrapper with everything that has a default filled in. */
export type KeyWrapperContext = Required<OpenedKeyWrapper>;

/** Registers the suite. Each test opens a wrapper of its own; the runner is passed in. */
export function keyWrapperContract(options: KeyWrapperContractOptions): void {
  const { canRotate, canFail, canHang, canForbid } = options.capabilities ?? {};
  registerClauses(options, "key wrapper", () => openContext(options), [
    ...keyWrapperClauses.always,
    ...keyWrapperFailureClauses.always,
    ...(canRotate === true ? keyWrapperClauses.rotating : []),
    ...(canFail === true ? keyWrapperFailureClauses.down : []),
    ...(canHang === true ? keyWrapperFailureClauses.hanging : []),
    ...(canForbid === true ? keyWrapperFailureClauses.forbidden : []),
  ]);
}

async function openContext({ open }: KeyWrapperContractOptions): Promise<KeyWrapperContext> {
  const opened = await open();
  const nothing = (): void => undefined;
  const { wrapper, second = wrapper, close } = opened;
  const { rotate = nothing, fail = nothing, hang = nothing, forbid = nothing } = opened;
  return { wrapper, second, rotate, fail, hang, forbid, close: () => close.call(opened) };
}
