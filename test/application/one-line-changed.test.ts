/** The promise of the public face: an application written for MSAL's interface changes one line. */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  ConfidentialClientApplication,
  DistributedCachePlugin,
  type Configuration,
  type IConfidentialClientApplication,
  type IPartitionManager,
} from "@azure/msal-node";
import { expect, test } from "vitest";
import { createConfidentialClient } from "../../src/client/confidential-client.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import { atOnce, outcomesOf, people } from "../hazards/setting.ts";
import { vendorStore } from "../hazards/vendor.ts";
import { claimsOf } from "../support/network.ts";
import { createWorld, READ, REDIRECT_URI, WEB, type World } from "../support/world.ts";
import { createNotesApp, type Session } from "./notes-app.ts";

const USERS = 50;
const SETTINGS = {
  redirectUri: REDIRECT_URI,
  scopes: READ,
  graphScopes: ["User.Read"],
  tasksScopes: ["api://tasks/read"],
  jobScopes: ["api://notes/.default"],
};

type MakeClient = (configuration: Configuration) => IConfidentialClientApplication;

function configuration(world: World, clientId: string): Configuration {
  return {
    auth: world.authority.msalAuth("contoso", clientId),
    system: { networkClient: world.authority.networkClient() },
  };
}

interface Evidence {
  /** Pages, by how they ended. */
  readonly pages: Record<string, number>;
  /** Tokens on those pages that were another user's. */
  readonly foreign: number;
  /** Pages that were still served after the user had signed out. */
  readonly servedAfterSignOut: number;
  readonly jobs: number;
}

/** The same day for 50 users at once, whatever the application's clients are made by. */
async function aDay(world: World, make: MakeClient, inRequestOf: InRequestOf): Promise<Evidence> {
  const front = make(configuration(world, WEB));
  const app = createNotesApp(front, make(configuration(world, DEFAULT_CLIENT_IDS.notes)), SETTINGS);
  const users = people(USERS).map(({ username }) => ({ username, session: {} as Session }));
  const oidOf = (username: string): string => world.authority.homeAccountId(username).split(".")[0]!;
  await Promise.allSettled(
    users.map(({ username, session }) =>
      inRequestOf(session, async () => {
        const { params } = await world.authority.authorize(await app.login(), { user: username });
        await app.redirect(session, params["code"]!);
      }),
    ),
  );
  const jobs = new Set(await Promise.all(atOnce(10, () => app.job())));
  let foreign = 0;
  const pages = [0, 1, 2].flatMap(() =>
    users.map(({ username, session }) =>
      inRequestOf(session, async () => {
        const page = await app.page(session);
        for (const token of [page.graphToken, page.tasksToken]) {
          if (claimsOf(token)["oid"] !== oidOf(username)) foreign += 1;
        }
      }),
    ),
  );
  const outcomes = await outcomesOf(pages);
  const leaving = users.slice(0, USERS / 2);
  await Promise.allSettled(leaving.map(({ session }) => inRequestOf(session, () => app.logout(session))));
  const after = await Promise.allSettled(
    leaving.map(({ session }) => inRequestOf(session, () => app.page(session))),
  );
  return {
    pages: outcomes,
    foreign,
    servedAfterSignOut: after.filter(({ status }) => status === "fulfilled").length,
    jobs: jobs.size,
  };
}

type InRequestOf = <R>(session: Session, work: () => Promise<R>) => Promise<R>;

test("the application serves 50 users at once on tokenkeep, with one line changed", async () => {
  const world = createWorld({ users: people(USERS) });
  const { cache: tokenCache } = world.node();
  const make: MakeClient = (options) => createConfidentialClient({ ...options, tokenCache });
  const evidence = await aDay(world, make, (_session, work) => work());
  expect(evidence).toEqual({ pages: { ok: 3 * USERS }, foreign: 0, servedAfterSignOut: 0, jobs: 1 });
  expect(world.authority.count({ grant: "authorization_code" })).toBe(USERS);
  expect(world.authority.count({ grant: "client_credentials" })).toBe(1);
  // Per user: the second resource once, and one exchange of the assertion.
  expect(world.authority.count({ grant: "refresh_token" })).toBe(USERS);
  expect(world.authority.count({ grant: "on_behalf_of" })).toBe(USERS);
});

test("the same application fails on one MSAL client with the vendor's plugin", async () => {
  const world = createWorld({ users: people(USERS) });
  const sessions = new AsyncLocalStorage<Session>();
  // As the vendor's samples have it: read by the session, written by the account.
  const partitions: IPartitionManager = {
    getKey: () => Promise.resolve(sessions.getStore()?.homeAccountId ?? ""),
    extractKey: (account) => Promise.resolve(account.homeAccountId),
  };
  const store = vendorStore(4);
  const make: MakeClient = (options) =>
    new ConfidentialClientApplication({
      ...options,
      cache: { cachePlugin: new DistributedCachePlugin(store, partitions) },
    });
  const evidence = await aDay(world, make, (session, work) => sessions.run(session, work));
  // Most pages cannot even find their account: a handful of partitions was written, with everybody's tokens in them.
  expect(evidence.pages["ok"] ?? 0).toBeLessThan(USERS);
  expect(store.values.size).toBeLessThan(USERS);
});
