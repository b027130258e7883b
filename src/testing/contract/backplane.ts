/** The published contract of a {@link Backplane}. */
import { fresh } from "./bytes.ts";
import { registerClauses, type Clause, type Closable, type ContractRunner } from "./runner.ts";
import { sleep, systemRuntime } from "../../runtime.ts";
import type { Backplane, BackplaneMessage } from "../../store/backplane.ts";

/** A backplane, opened for one test. */
export interface OpenedBackplane extends Closable {
  /** The backplane under test. */
  readonly backplane: Backplane;
  /** Another client of the same backplane, as another process would have. Default: `backplane` itself. */
  readonly second?: Backplane;
  /** Makes the write that a publish speaks of, through the first client: any `put` or `delete`. */
  readonly write: () => Promise<unknown>;
}

/** What the contract of a backplane is run with. */
export interface BackplaneContractOptions extends ContractRunner {
  /** Opens a fresh one for each test. */
  readonly open: () => Promise<OpenedBackplane>;
  /** What the backend can do; tests of anything else are left out. */
  readonly capabilities?: {
    /** Whether messages reach other clients, or only listeners of the same object. Default true. */
    readonly messagesReachOthers?: boolean;
  };
}

const REPUBLISH_MS = 25;

interface BackplaneContext extends Closable {
  readonly backplane: Backplane;
  readonly second: Backplane;
  /** The client whose listeners hear what the first publishes. */
  readonly hearing: Backplane;
  readonly write: () => Promise<unknown>;
}

/** Registers the suite: the change counter is the truth, messages only make it faster. */
export function backplaneContract(options: BackplaneContractOptions): void {
  const messagesReachOthers = options.capabilities?.messagesReachOthers ?? true;
  const open = async (): Promise<BackplaneContext> => {
    const { backplane, second = backplane, write, close } = await options.open();
    return { backplane, second, hearing: messagesReachOthers ? second : backplane, write, close };
  };
  registerClauses(options, "backplane", open, [...counterClauses, ...messageClauses]);
}

const counterClauses: readonly Clause<BackplaneContext>[] = [
  {
    title: "the change counter does not move by being read",
    async check({ backplane, second, expect }) {
      expect(await backplane.changeCounter()).toBe(await backplane.changeCounter());
      expect(await second.changeCounter()).toBe(await second.changeCounter());
    },
  },
  {
    title: "a write that is announced moves the counter, for this client and for every other",
    async check({ backplane, second, write, expect }) {
      const before = [await backplane.changeCounter(), await second.changeCounter()];
      await write();
      await backplane.publish(message("key"));
      expect((await backplane.changeCounter()) === before[0]).toBe(false);
      expect((await second.changeCounter()) === before[1]).toBe(false);
    },
  },
  {
    title: "the counter differs from every value it had before",
    async check({ backplane, second, write, expect }) {
      const mine = [await backplane.changeCounter()];
      const theirs = [await second.changeCounter()];
      for (let round = 0; round < 12; round += 1) {
        await write();
        await backplane.publish(message("key"));
        mine.push(await backplane.changeCounter());
        theirs.push(await second.changeCounter());
      }
      expect(new Set(mine).size).toBe(mine.length);
      expect(new Set(theirs).size).toBe(theirs.length);
    },
  },
];

const messageClauses: readonly Clause<BackplaneContext>[] = [
  {
    title: "publish tells whoever listens the key and the version",
    async check({ backplane, hearing, expect }) {
      const sent = message("key: 100% Ünï 🔑");
      const heard = hear(hearing, sent.key);
      await publishUntilHeard(backplane, sent, [heard]);
      const got = await heard.message;
      expect({ key: got.key, version: got.version }).toEqual(sent);
      heard.end();
    },
  },
  {
    title: "every listener is told, also when another one throws",
    async check({ backplane, hearing, expect }) {
      const endThrowing = hearing.subscribe(() => {
        throw new Error("a listener's own fault");
      });
      const heard = [hear(hearing, "key"), hear(hearing, "key")];
      await publishUntilHeard(backplane, message("key"), heard);
      const got = await Promise.all(heard.map((one) => one.message));
      expect(got.map(({ key }) => key)).toEqual(["key", "key"]);
      endThrowing();
      for (const { end } of heard) end();
    },
  },
  {
    title: "an ended subscription is told nothing more; ending it twice does no harm to others",
    async check({ backplane, hearing, expect }) {
      const told: string[] = [];
      const end = hearing.subscribe((got) => told.push(got.key));
      const heard = hear(hearing, "after");
      end();
      end();
      await publishUntilHeard(backplane, message("after"), [heard]);
      expect(told).toEqual([]);
      heard.end();
    },
  },
];

interface Heard {
  /** The first message for the key. One that never comes is the runner's timeout. */
  readonly message: Promise<BackplaneMessage>;
  readonly end: () => void;
}

function message(key: string): BackplaneMessage {
  return { key, version: fresh() };
}

function hear(backplane: Backplane, key: string): Heard {
  let end = (): void => {};
  const first = new Promise<BackplaneMessage>((resolve) => {
    end = backplane.subscribe((told) => {
      if (told.key === key) resolve(told);
    });
  });
  return { message: first, end };
}

/** Again and again, because a subscription to a server stands only some time after `subscribe` returned. */
async function publishUntilHeard(
  backplane: Backplane,
  sent: BackplaneMessage,
  heard: readonly Heard[],
): Promise<void> {
  const all = Promise.all(heard.map((one) => one.message)).then(() => true);
  do await backplane.publish(sent);
  while (!(await Promise.race([all, sleep(systemRuntime, REPUBLISH_MS).then(() => false)])));
}
