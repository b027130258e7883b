import type { Entry } from "../lib/benchmark.ts";

/** Every benchmark, in the order of a full run. */
export const BENCHES: Readonly<Record<string, Entry>> = {
  hit: { load: async () => (await import("./hit.ts")).hit },
  l1: { load: async () => (await import("./l1.ts")).l1 },
  "redis-read": { load: async () => (await import("./redis-read.ts")).redisRead },
  "redis-write": { load: async () => (await import("./redis-write.ts")).redisWrite },
  "redis-token": { load: async () => (await import("./redis-token.ts")).redisToken },
  users: { load: async () => (await import("./users.ts")).users },
  herd: { load: async () => (await import("./herd.ts")).herd },
  farm: { load: async () => (await import("./farm.ts")).farm },
  postgres: { load: async () => (await import("./postgres.ts")).postgres },
  sqlite: { load: async () => (await import("./sqlite.ts")).sqlite },
  filesystem: { load: async () => (await import("./filesystem.ts")).filesystem },
  activity: { load: async () => (await import("./activity.ts")).activity },
  seal: { load: async () => (await import("./seal.ts")).seal },
  memory: { load: async () => (await import("./memory.ts")).memory, isOnlyIfAsked: true },
  parse: { load: async () => (await import("./parse.ts")).parse },
  merge: { load: async () => (await import("./merge.ts")).merge },
};
