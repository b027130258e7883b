/** Real Redis in its other shapes: with TLS and ACL users, a Cluster, and behind Sentinel. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { serverProgram } from "./programs.ts";
import { redisProgram } from "./redis.ts";
import { command, type RespTarget } from "./resp.ts";
import { startServer, type Server } from "./server.ts";

export const sentinelProgram = redisProgram && serverProgram("Redis Sentinel");

export interface TlsRedis extends Server {
  readonly ca: string;
  /** As `admin`, who may do everything. */
  readonly target: RespTarget;
}

export interface RedisCluster {
  /** The three masters, then their replicas, as they were at the start. */
  readonly nodes: readonly Server[];
  readonly rootNodes: readonly { readonly host: string; readonly port: number }[];
  stop(): Promise<void>;
}

export interface RedisSentinel {
  readonly name: string;
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
  /** The master and the replica, as they were at the start. */
  readonly nodes: readonly Server[];
  /** The port that the Sentinels take for the master's now. */
  masterPort(): Promise<number>;
  stop(): Promise<void>;
}

const REPLICATION = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];

/** Only TLS, no default user; `acl` holds the lines of the ACL file besides that of `admin`, password `admin`. */
export async function startTlsRedis(acl: readonly string[]): Promise<TlsRedis> {
  const secrets = mkdtempSync(join(tmpdir(), "tokenkeep-tls-"));
  const [cert, key] = makeCertificate(secrets);
  const aclFile = join(secrets, "users.acl");
  writeFileSync(aclFile, ["user default off", "user admin on >admin ~* &* +@all", ...acl, ""].join("\n"));
  const ca = readFileSync(cert, "utf8");
  const target = (port: number): RespTarget => ({ port, ca, auth: ["admin", "admin"] });
  const server = await startServer({
    name: "redis-tls",
    program: redisProgram ?? "redis-server",
    args: ({ port, folder }) => [
      ...["--port", "0", "--tls-port", `${port}`, "--tls-auth-clients", "no", "--aclfile", aclFile],
      ...["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert],
      ...common(folder),
    ],
    answers: ({ port }) => command(target(port), "PING"),
  });
  return {
    ...server,
    ca,
    target: target(server.port),
    async stop() {
      await server.stop();
      rmSync(secrets, { recursive: true, force: true });
    },
  };
}

/** Three masters with a replica each; a master that is lost is replaced within about 2 s. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const args = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"];
  const timing = ["--cluster-node-timeout", "1000", ...REPLICATION];
  const nodes: Server[] = [];
  // One after the other: a port is free until somebody takes it.
  for (let count = 0; count < 6; count += 1) nodes.push(await startNode([...args, ...timing]));
  const masters = nodes.slice(0, 3);
  const replicas = nodes.slice(3);
  const ranges = [
    [0, 5460],
    [5461, 10_922],
    [10_923, 16_383],
  ] as const;
  await Promise.all(
    masters.map((node, index) => command(node, "CLUSTER", "ADDSLOTSRANGE", ...ranges[index]!)),
  );
  await Promise.all(nodes.map((node, index) => command(node, "CLUSTER", "SET-CONFIG-EPOCH", index + 1)));
  for (const node of nodes.slice(1)) await command(nodes[0]!, "CLUSTER", "MEET", "127.0.0.1", node.port);
  await until("the cluster's nodes know each other", () => everywhere(nodes, "cluster_known_nodes:6"));
  await Promise.all(
    replicas.map(async (node, index) => {
      const id = await command(masters[index]!, "CLUSTER", "MYID");
      await command(node, "CLUSTER", "REPLICATE", id);
    }),
  );
  await until("the cluster is whole", () => everywhere(nodes, "cluster_state:ok"));
  await until("every master has a replica", () => replicated(masters));
  return {
    nodes,
    rootNodes: masters.map(({ port }) => ({ host: "127.0.0.1", port })),
    stop: () => stopAll(nodes),
  };
}

/** A master, a replica and three Sentinels that replace a lost master within about 2 s. */
export async function startRedisSentinel(): Promise<RedisSentinel> {
  const master = await startNode(REPLICATION);
  const replica = await startNode([...REPLICATION, "--replicaof", "127.0.0.1", `${master.port}`]);
  await until("the master has its replica", () => replicated([master]));
  const name = "tokenkeep";
  const sentinels: Server[] = [];
  for (let count = 0; count < 3; count += 1) sentinels.push(await startSentinel(name, master.port));
  const view = (sentinel: Server) => command(sentinel, "SENTINEL", "MASTER", name);
  await until("the Sentinels know each other and the replica", async () => {
    const views = await Promise.all(sentinels.map(view));
    return views.every(
      (text) => field(text, "num-other-sentinels") === "2" && field(text, "num-slaves") === "1",
    );
  });
  return {
    name,
    sentinels: sentinels.map(({ port }) => ({ host: "127.0.0.1", port })),
    nodes: [master, replica],
    async masterPort() {
      return Number(field(await view(sentinels[0]!), "port"));
    },
    stop: () => stopAll([...sentinels, master, replica]),
  };
}

/** One `redis-server` that keeps nothing on disk. */
function startNode(args: readonly string[]): Promise<Server> {
  return startServer({
    name: "redis",
    program: redisProgram ?? "redis-server",
    args: ({ port, folder }) => ["--port", `${port}`, ...common(folder), ...args],
    answers: (place) => command(place, "PING"),
  });
}

function startSentinel(name: string, masterPort: number): Promise<Server> {
  return startServer({
    name: "redis-sentinel",
    program: sentinelProgram ?? "redis-sentinel",
    prepare({ port, folder }) {
      const lines = [
        ...[`port ${port}`, "bind 127.0.0.1", `dir ${folder}`],
        `sentinel monitor ${name} 127.0.0.1 ${masterPort} 2`,
        `sentinel down-after-milliseconds ${name} 1000`,
        `sentinel failover-timeout ${name} 3000`,
      ];
      writeFileSync(join(folder, "sentinel.conf"), `${lines.join("\n")}\n`);
    },
    args: ({ folder }) => [join(folder, "sentinel.conf")],
    answers: (place) => command(place, "PING"),
  });
}

function common(folder: string): string[] {
  return ["--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"];
}

/** For states that servers reach by themselves, such as an election. */
export async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const reached = () => check().catch(() => false);
  await expect.poll(reached, { timeout: 30_000, interval: 25, message: what }).toBe(true);
}

async function everywhere(nodes: readonly Server[], line: string): Promise<boolean> {
  const infos = await Promise.all(nodes.map((node) => command(node, "CLUSTER", "INFO")));
  return infos.every((info) => info.includes(line));
}

/** Whether each has a replica that is in step. */
async function replicated(masters: readonly Server[]): Promise<boolean> {
  const infos = await Promise.all(masters.map((node) => command(node, "INFO", "replication")));
  return infos.every((info) => info.includes("state=online"));
}

/** From the flat list of names and values that SENTINEL MASTER answers. */
function field(answer: string, name: string): string | undefined {
  const lines = answer.split("\r\n");
  return lines[lines.indexOf(name) + 2];
}

function makeCertificate(folder: string): [cert: string, key: string] {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  const request = ["-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", names];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  execFileSync("openssl", ["req", ...request, ...curve, "-keyout", key, "-out", cert], { stdio: "pipe" });
  return [cert, key];
}

async function stopAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}
