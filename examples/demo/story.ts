/** The whole story without a window: what `npm start -- --headless` plays and checks. */
import {
  nothingInClear,
  oneSignsOut,
  oneUserIsRevoked,
  theWebAppRestarts,
  theWorkerGoesOnAlone,
  theWorkerWakesUp,
  theyComeBack,
  threeUsersSignIn,
  USED_UP_SECONDS,
} from "./chapters.ts";
import { createBrowser } from "./browser.ts";
import { temporaryDataFolder } from "./data-folder.ts";
import { createLedger } from "./ledger.ts";
import { createProcesses } from "./processes.ts";
import { startServices } from "./services.ts";
import { ADA, BEN, CLEO, tally, type Stage } from "./stage.ts";
import { prepareStore, type StoreKind } from "./store.ts";

export interface StoryOptions {
  readonly print: (line: string) => void;
  readonly fault?: string | undefined;
  readonly store: StoreKind;
}

/** Plays the story; true if all of it came out right. */
export async function playStory(options: StoryOptions): Promise<boolean> {
  const printed: string[] = [];
  const print = (line: string): void => {
    printed.push(line);
    options.print(line);
  };
  const ledger = createLedger(print);
  const data = temporaryDataFolder();
  const store = await prepareStore(options.store, data).catch((error: unknown) => {
    data.remove();
    throw error;
  });
  const services = await startServices(USED_UP_SECONDS);
  const processes = createProcesses(services, data, store);
  try {
    const stage = await setTheStage({ services, data, store, processes, ledger, fault: options.fault });
    await threeUsersSignIn(stage);
    await theWorkerGoesOnAlone(stage);
    await oneUserIsRevoked(stage);
    await theWorkerWakesUp(stage);
    await theyComeBack(stage);
    await oneSignsOut(stage);
    await theWebAppRestarts(stage);
    const searched = await nothingInClear(stage, printed);
    print(summary(stage, searched));
  } catch (error) {
    ledger.broke(error);
  } finally {
    await processes.stopAll();
    await services.close();
    await store.stop();
    data.remove();
  }
  if (ledger.failed > 0) {
    print(`\nWhat the web app and the worker printed:\n${processes.output()}`);
    print(`\nThe story did not come out right: ${ledger.failed} failed, ${ledger.passed} passed.`);
  }
  return ledger.failed === 0;
}

type Equipment = Pick<Stage, "services" | "data" | "store" | "processes" | "ledger" | "fault">;

async function setTheStage(equipment: Equipment): Promise<Stage> {
  const { services, processes } = equipment;
  const { calls } = services.authority;
  let seen = 0;
  return {
    ...equipment,
    browsers: new Map([ADA, BEN, CLEO].map((user) => [user, createBrowser()])),
    worker: await processes.startWorker(0),
    web: await processes.startWebApp(0),
    workerRuns: 0,
    newCalls() {
      const since = calls.slice(seen);
      seen = calls.length;
      return tally(since);
    },
  };
}

function summary({ services, ledger, workerRuns }: Stage, searched: string): string {
  if (ledger.failed > 0) return "";
  const { authority } = services;
  const counts = [
    `${ledger.passed} of ${ledger.passed} checks`,
    `${authority.users.length} users`,
    `${authority.count({ grant: "authorization_code", outcome: "ok" })} sign-ins`,
    `${workerRuns} worker runs`,
    `${authority.count({ grant: "refresh_token", outcome: "ok" })} renewals`,
    `${authority.count({ grant: "refresh_token", outcome: "invalid_grant" })} refused`,
    `${searched}, found 0`,
  ];
  return `\nThe story came out right: ${counts.join(", ")}.`;
}
