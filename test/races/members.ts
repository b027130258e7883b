/** Processes of one application that share a SQLite file or a Redis server, and the authority that all of them ask. */
import { createHash } from "node:crypto";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { accountRef, type AccountRef, type Runtime } from "../../src/index.ts";
import { createLocalAuthority } from "../../src/testing/authority/index.ts";
import type { LocalAuthorityOptions } from "../../src/testing/authority/options.ts";
import { temporaryFolder } from "../adapters/children.ts";
import { TEST_KEYS } from "../hazards/processes.ts";
import { createNode, WEB, type Authority, type Node } from "../support/world.ts";
import {
  KEYS_VARIABLE,
  SETTINGS_VARIABLE,
  type FromMember,
  type MemberSettings,
  type Report,
  type Task,
  type ToMember,
} from "./children/protocol.ts";
import { sharedStore } from "./children/shared-store.ts";
import { nextMessage } from "../support/next-message.ts";

export interface Member {
  /** Everything it has reported so far. */
  readonly reports: readonly Report[];
  /** Moves its wall clock; resolves when it has done so and waits. */
  pass(ms: number): Promise<void>;
  /** Rejects if the process ends before the task does. */
  run(task: Task): Promise<{ readonly reports: readonly Report[]; readonly waiting: number }>;
  /** Resolves when the calls of the next task are on their way. */
  started(): Promise<unknown>;
  /** Ends it at once, as a crash would. Resolves when everything it had said has arrived. */
  kill(): Promise<unknown>;
  /** Resolves when it has ended, and everything it had said has arrived. */
  readonly ended: Promise<unknown>;
}

export interface Site {
  readonly authority: Authority;
  readonly storePath: string;
  /** A process that lives until the site is closed. */
  member(settings?: Partial<MemberSettings>): Promise<Member>;
  /** A cache in this process, on the same file, without any copy in memory. */
  node(options?: Parameters<typeof createNode>[1] & { readonly runtime?: Runtime }): Node;
  signIn(user: string, scopes: string[]): Promise<AccountRef>;
  close(): Promise<void>;
}

export async function openSite(
  options: LocalAuthorityOptions & {
    readonly refreshTokens?: "reusable" | "one-time";
    /** Share this server; default: a SQLite file. */
    readonly redisUrl?: string;
  } = {},
): Promise<Site> {
  const { refreshTokens = "reusable", redisUrl } = options;
  const authority = createLocalAuthority(options);
  const listener = await authority.listen();
  const folder = temporaryFolder();
  const storePath = join(folder.path, "tokens.db");
  const members: Member[] = [];
  const nodes: Node[] = [];
  const auth = authority.msalAuth("contoso", WEB);

  function node(nodeOptions: Parameters<Site["node"]>[0] = {}): Node {
    const { runtime } = nodeOptions;
    const store = sharedStore({ storePath, redisUrl }, runtime);
    const made = createNode(authority, { store, l1: false, refreshTokens, ...nodeOptions });
    nodes.push(made);
    return made;
  }

  return {
    authority,
    storePath,
    node,
    async member(settings) {
      const member = await startMember({ auth, storePath, redisUrl, refreshTokens, ...settings });
      members.push(member);
      return member;
    },
    async signIn(user, scopes) {
      const { account } = await node().signIn(user, scopes);
      if (!account) throw new Error("no account");
      return accountRef(account);
    },
    async close() {
      await Promise.all(members.map((member) => member.kill()));
      await Promise.all(nodes.map((made) => made.cache.close()));
      await listener.close();
      folder.remove();
    },
  };
}

async function startMember(settings: MemberSettings): Promise<Member> {
  const file = fileURLToPath(new URL("children/member.ts", import.meta.url));
  const child = fork(file, [], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
    env: {
      PATH: process.env["PATH"],
      [SETTINGS_VARIABLE]: JSON.stringify(settings),
      [KEYS_VARIABLE]: TEST_KEYS,
    },
  });
  const reports: Report[] = [];
  // "close" and not "exit": what was said before the end may arrive after it.
  const ended = Promise.all([once(child, "close"), once(child, "disconnect")]);
  child.on("message", (message: FromMember) => {
    if (message.type === "report") reports.push(message.report);
  });
  const send = (message: ToMember): void => void child.send(message, () => undefined);
  await nextMessage<FromMember, "ready">(child, "ready");
  return {
    reports,
    ended,
    async pass(ms) {
      const ready = nextMessage<FromMember, "ready">(child, "ready");
      send({ type: "pass", ms });
      await ready;
    },
    async run(task) {
      const first = reports.length;
      const done = nextMessage<FromMember, "done">(child, "done");
      send({ type: "run", task });
      const { waiting } = await done;
      return { reports: reports.slice(first), waiting };
    },
    started: () => nextMessage<FromMember, "started">(child, "started"),
    kill() {
      child.kill("SIGKILL");
      return ended;
    },
  };
}

/** As a member names an access token. */
export function fingerprintOf(accessToken: string): string {
  return createHash("sha256").update(accessToken).digest("base64url");
}
