/** The chapters of the story, in their order. Each one acts, and notes whether the world looks as it should. */
import { textOf } from "./browser.ts";
import { filesWithoutKeys } from "./data-folder.ts";
import { findSecrets, keySecrets, stringSecrets, type Haystack, type Leak } from "./scan.ts";
import {
  ADA,
  BEN,
  CLEO,
  browserOf,
  fromTheCache,
  greeting,
  hello,
  isReachable,
  outcomes,
  nameOf,
  refusedInTheEnd,
  runWorker,
  text,
  type Stage,
} from "./stage.ts";

/** MSAL renews a token with less than five minutes left, so this one is used up as soon as it is there. */
export const USED_UP_SECONDS = 240;
const FRESH_SECONDS = 3600;
const WAKE_EVERY_MS = 100;

export async function threeUsersSignIn(stage: Stage): Promise<void> {
  const { ledger } = stage;
  ledger.chapter("Three users sign in to the web app and see their profiles");
  for (const user of [ADA, BEN, CLEO]) {
    const picker = await browserOf(stage, user).open(`${stage.web.origin}/me`);
    const page = await browserOf(stage, user).press(picker, { name: "account", value: user });
    ledger.check(`${nameOf(user)} sees the profile`, greeting(page), hello(user));
  }
  ledger.check(
    "each has shown up at the provider once, and a token was used up and renewed once",
    stage.newCalls(),
    {
      "authorize ada": 1,
      "authorize ben": 1,
      "authorize cleo": 1,
      "authorization_code ada": 1,
      "authorization_code ben": 1,
      "authorization_code cleo": 1,
      "refresh_token ada": 1,
      "refresh_token ben": 1,
      "refresh_token cleo": 1,
    },
  );
}

export async function theWorkerGoesOnAlone(stage: Stage): Promise<void> {
  const { ledger } = stage;
  ledger.chapter("The web app stops; the worker goes on, in a process of its own");
  ledger.check("the web app has ended in good order", await stage.web.stop(), 0);
  ledger.check("nobody answers at its address", await isReachable(stage.web.origin), false);
  ledger.check("the worker serves three of three", await runWorker(stage), {
    [ADA]: "served: token renewed",
    [BEN]: "served: token renewed",
    [CLEO]: "served: token renewed",
  });
  ledger.check("it renewed each used-up token once, and nobody signed in", stage.newCalls(), {
    "refresh_token ada": 1,
    "refresh_token ben": 1,
    "refresh_token cleo": 1,
  });
}

export async function oneUserIsRevoked(stage: Stage): Promise<void> {
  const { ledger, services } = stage;
  ledger.chapter("Ben is revoked at the provider");
  services.authority.setLifetimes({ accessTokenSeconds: FRESH_SECONDS });
  if (stage.fault !== "skip-revocation") services.authority.revokeUser(BEN);
  ledger.check("the worker learns it, and serves the others all the same", await runWorker(stage), {
    [ADA]: "served: token renewed",
    [BEN]: "failed: invalid_grant",
    [CLEO]: "served: token renewed",
  });
  ledger.check("one call each", stage.newCalls(), {
    "refresh_token ada": 1,
    "refresh_token ben: invalid_grant": 1,
    "refresh_token cleo": 1,
  });
  ledger.check("in the next run he is benched, with the reason", await runWorker(stage), {
    [ADA]: "served: token from the cache",
    [BEN]: "benched: needs-interaction: invalid_grant",
    [CLEO]: "served: token from the cache",
  });
  ledger.check("and the provider is not called, for him or anybody", stage.newCalls(), {});
}

export async function theWorkerWakesUp(stage: Stage): Promise<void> {
  const { ledger, processes } = stage;
  ledger.chapter("Nobody asks: a second worker runs on its own schedule");
  const worker = await processes.startWorker(WAKE_EVERY_MS);
  ledger.check("it wakes up by itself, and finds everybody as they are", outcomes(await worker.wakesUp()), {
    [ADA]: "served: token from the cache",
    [BEN]: "benched: needs-interaction: invalid_grant",
    [CLEO]: "served: token from the cache",
  });
  ledger.check("it ends in good order", await worker.stop(), 0);
  ledger.check(
    "and has not called the provider: the first worker's renewals serve both",
    stage.newCalls(),
    {},
  );
}

export async function theyComeBack(stage: Stage): Promise<void> {
  const { ledger } = stage;
  ledger.chapter("The web app starts again, and Ben comes back");
  stage.web = await stage.processes.startWebApp(0);
  const ben = browserOf(stage, BEN);
  const picker = await ben.open(`${stage.web.origin}/me`);
  ledger.check("he is sent to sign in again", greeting(picker), "Pick an account");
  ledger.check("without a token request: that his refresh token is dead is known", stage.newCalls(), {});
  const page = await ben.press(picker, { name: "account", value: BEN });
  ledger.check("he signs in and sees his profile", greeting(page), hello(BEN));
  ledger.check("with one sign-in", stage.newCalls(), { "authorize ben": 1, "authorization_code ben": 1 });
  ledger.check("the worker serves him again", await runWorker(stage), fromTheCache(ADA, BEN, CLEO));
  ledger.check("with the tokens he brought: no call to the provider", stage.newCalls(), {});
}

export async function oneSignsOut(stage: Stage): Promise<void> {
  const { ledger } = stage;
  const cleo = browserOf(stage, CLEO);
  ledger.chapter("Cleo signs out: first of her browser, then for good");
  const out = await cleo.press(await cleo.open(`${stage.web.origin}/`), { action: "/sign-out" });
  ledger.check("her browser is signed out", textOf(out).includes(CLEO), false);
  ledger.check("and says so", textOf(out).includes("You are signed out of this browser."), true);
  ledger.check("the worker goes on for her", await runWorker(stage), fromTheCache(ADA, BEN, CLEO));
  ledger.check("so far only the provider's sign-out was called", stage.newCalls(), { "logout cleo": 1 });

  const picker = await cleo.open(`${stage.web.origin}/me`);
  const back = await cleo.press(picker, { name: "account", value: CLEO });
  ledger.check("she signs in again", greeting(back), hello(CLEO));
  const old = cleo.copy();
  const gone = await cleo.press(back, { action: "/sign-out-everywhere" });
  ledger.check("she signs out for good", textOf(gone).includes("You are signed out for good."), true);
  ledger.check("the worker no longer acts for her", await runWorker(stage), {
    ...fromTheCache(ADA, BEN),
  });
  ledger.check(
    "nor when a job still names her, once a process may no longer go by its memory",
    await refusedInTheEnd(stage, CLEO),
    "failed: no_tokens_found",
  );
  const replayed = await old.open(`${stage.web.origin}/me`);
  ledger.check("a copy of her old session opens nothing", greeting(replayed), "Pick an account");
  ledger.check("nothing of this asked the provider for a token but her sign-in", stage.newCalls(), {
    "authorize cleo": 1,
    "authorization_code cleo": 1,
    "logout cleo": 1,
  });
}

export async function theWebAppRestarts(stage: Stage): Promise<void> {
  const { ledger } = stage;
  ledger.chapter("The web app restarts");
  ledger.check("it ends in good order", await stage.web.stop(), 0);
  stage.web = await stage.processes.startWebApp(0);
  for (const user of [ADA, BEN]) {
    const page = await browserOf(stage, user).open(`${stage.web.origin}/me`);
    ledger.check(`${nameOf(user)} is still signed in`, greeting(page), hello(user));
  }
  const cleo = await browserOf(stage, CLEO).open(`${stage.web.origin}/`);
  ledger.check("Cleo is still signed out", textOf(cleo).includes(CLEO), false);
  ledger.check("nobody had to sign in, and no token had to be renewed", stage.newCalls(), {});
}

export async function nothingInClear(stage: Stage, printed: readonly string[]): Promise<string> {
  const { ledger, services, data, processes } = stage;
  ledger.chapter("Nothing that was issued lies about in clear");
  const secrets = [
    ...stringSecrets("issued secret", services.authority.issued),
    ...keySecrets(data.keyFile),
    ...keySecrets(data.sessionKeyFile),
  ];
  const whileRunning = [...filesWithoutKeys(data), ...(await stage.store.contents())];
  const exits = [await stage.web.stop(), await stage.worker.stop()];
  ledger.check("web app and worker end in good order", exits, [0, 0]);
  const atRest = [...filesWithoutKeys(data), ...(await stage.store.contents())];
  const leaked = stage.fault === "leak-token" ? [...services.authority.issued].at(-1) : undefined;
  const texts: Haystack[] = [
    text("the logs of web app and worker", `${processes.output()}\n${leaked ?? ""}`),
    text("this account of the story", printed.join("\n")),
    text("the browsers' cookies", [...stage.browsers.values()].flatMap((each) => each.cookies()).join("\n")),
  ];
  const files = [...whileRunning, ...atRest];
  // A search of the wrong place finds nothing too.
  ledger.check("the store holds the sealed records of Ada and Ben", holdsSealed(atRest), true);
  const nowhere: Leak[] = [];
  ledger.check("not in the store, nor in any file beside it", findSecrets(files, secrets), nowhere);
  ledger.check("not in any log or cookie", findSecrets(texts, secrets), nowhere);
  const bytes = [...files, ...texts].reduce((sum, each) => sum + each.bytes.length, 0);
  return `searched ${Math.round(bytes / 1024)} KB for ${secrets.length} secrets`;
}

/** By the mark that sealed bytes begin with; two records there are at least. */
function holdsSealed(files: readonly Haystack[]): boolean {
  const all = Buffer.concat(files.map(({ bytes }) => bytes)).toString("latin1");
  return all.split("TKE\x01").length > 2;
}
