/** What an operator should know about the servers. Asks, and never configures. */
import type { RedisReply } from "./redis-client.ts";
import { isReply, type RedisConnection } from "./redis-connection.ts";
import type { Finding } from "../store/blob-store.ts";

export function inspectRedis({ call }: RedisConnection): Promise<Finding[]> {
  return call("inspect", async (driver) => {
    let infos: readonly RedisReply[];
    try {
      infos = await driver.sendToMasters(["INFO"]);
    } catch (error) {
      // A server that cannot be reached has refused nothing.
      if (!isReply(error)) throw error;
      return [finding("info", "inspection", "this user may not run INFO, so nothing could be looked at")];
    }
    const nodes = infos.map((reply) => fieldsOf(String(reply)));
    return [...evictionOf(nodes), ...persistenceOf(nodes), ...replicasOf(nodes)];
  });
}

type Fields = ReadonlyMap<string, string>;

function fieldsOf(info: string): Fields {
  return new Map(
    info.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(":");
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as const] : [];
    }),
  );
}

function evictionOf(nodes: readonly Fields[]): Finding[] {
  const policies = new Set(nodes.map((node) => node.get("maxmemory_policy") ?? "noeviction"));
  policies.delete("noeviction");
  if (policies.size === 0) return [];
  const isLimited = nodes.some((node) => Number(node.get("maxmemory")) > 0);
  const text =
    `maxmemory-policy is ${[...policies].join(", ")}: under pressure Redis drops records that are still wanted, and ` +
    "sign-outs that other processes have not seen; set it to noeviction";
  return [
    finding(
      isLimited ? "error" : "warning",
      "eviction-policy",
      isLimited ? text : `${text} (no maxmemory is set now)`,
    ),
  ];
}

function persistenceOf(nodes: readonly Fields[]): Finding[] {
  if (nodes.every((node) => node.get("aof_enabled") === "1")) return [];
  return [
    finding(
      "info",
      "persistence",
      "appendonly is off: after a restart records written since the last snapshot are gone, sign-outs too",
    ),
  ];
}

function replicasOf(nodes: readonly Fields[]): Finding[] {
  if (nodes.every((node) => Number(node.get("connected_slaves")) === 0)) return [];
  return [
    finding(
      "info",
      "replication",
      "replication is asynchronous: a failover may lose the last acknowledged writes, sign-outs too",
    ),
  ];
}

function finding(severity: Finding["severity"], code: string, message: string): Finding {
  return { severity, code, message };
}
