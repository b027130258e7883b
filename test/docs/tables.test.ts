import { describe, expect, test } from "vitest";
import { createKeyRing } from "../../src/envelope/key-ring.ts";
import { resolveOptions } from "../../src/options.ts";
import { named, read, tableRows } from "./documents.ts";

/** The union members of a type in a source file: `| "…"` or `type: "…"`. */
function literals(path: string, pattern: RegExp): string[] {
  return [...read(path).matchAll(pattern)].map(([, name = ""]) => name);
}

/** The property names of an exported interface whose members stand on lines of their own. */
function propertiesOf(path: string, name: string): string[] {
  const body = new RegExp(`interface ${name}\\b[^{]*\\{\\n(.*?)\\n\\}`, "s").exec(read(path))?.[1];
  if (body === undefined) throw new Error(`${path} has no interface ${name}`);
  return [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, property = ""]) => property);
}

/** The names in a source file's `KNOWN_OPTIONS`. */
function knownOptions(path: string): string[] {
  const list = /KNOWN_OPTIONS = new Set\(\[(.*?)\]\)/s.exec(read(path))?.[1];
  if (list === undefined) throw new Error(`${path} has no KNOWN_OPTIONS`);
  return [...list.matchAll(/"(\w+)"/g)].map(([, name = ""]) => name);
}

function firstColumn(path: string, heading?: string): string[] {
  return tableRows(read(path), heading).map(([cell]) => named(cell));
}

describe("docs/errors.md", () => {
  const codes = literals("src/errors.ts", /^ {2}\| "(ERR_[A-Z_]+)"/gm);

  test("has one row for each error code, and no row without a code", () => {
    expect(codes.length).toBeGreaterThan(15);
    expect(firstColumn("docs/errors.md").toSorted()).toEqual(codes.toSorted());
  });

  test("says for each code in use what it means, where it comes from and what to do", () => {
    const rows = tableRows(read("docs/errors.md")).filter((row) => !row.join(" ").includes("Reserved"));
    expect(rows.filter((row) => row.length !== 5 || row.includes("")).map(([code]) => code)).toEqual([]);
  });
});

describe("docs/events.md", () => {
  const text = read("src/telemetry/events.ts");
  const shapes = [...text.matchAll(/\{[^}]*?readonly type: "([a-z-]+)"(.*?)\}/gs)].map(
    ([, type = "", rest = ""]) => ({
      type,
      fields: [...rest.matchAll(/readonly (\w+):/g)].map(([, field = ""]) => field),
    }),
  );

  test("has one row for each event, and no row without an event", () => {
    expect(shapes.length).toBeGreaterThan(10);
    expect(firstColumn("docs/events.md").toSorted()).toEqual(shapes.map(({ type }) => type).toSorted());
  });

  test("names the fields of each event", () => {
    const documented = tableRows(read("docs/events.md")).map(([type, fields = ""]) => ({
      type: named(type),
      fields: [...fields.matchAll(/`(\w+)`/g)].map(([, field = ""]) => field),
    }));
    const byType = (a: { type: string }, b: { type: string }): number => (a.type < b.type ? -1 : 1);
    expect(documented.toSorted(byType)).toEqual(shapes.toSorted(byType));
  });
});

describe("docs/key-providers.md", () => {
  test("lists the options of keysFromWrapped and no others", () => {
    expect(firstColumn("docs/key-providers.md", "Wrapped keys").filter(Boolean).toSorted()).toEqual(
      propertiesOf("src/envelope/wrapped-keys.ts", "WrappedKeysOptions").toSorted(),
    );
  });
});

describe("docs/key-providers.md, Azure Key Vault", () => {
  test("lists the options of azureKeyVault and no others", () => {
    expect(firstColumn("docs/key-providers.md", "Azure Key Vault").toSorted()).toEqual(
      propertiesOf("src/adapters/azure-key-vault.ts", "AzureKeyVaultOptions").toSorted(),
    );
  });
});

describe("docs/options.md", () => {
  const documented = (heading: string): string[] => firstColumn("docs/options.md", heading);
  const topLevel = (names: readonly string[]): string[] => [
    ...new Set(names.map((name) => name.split(".", 1)[0] ?? "")),
  ];

  test("lists the options of createTokenCache and no others", () => {
    expect(topLevel(documented("createTokenCache")).toSorted()).toEqual(
      knownOptions("src/options.ts").toSorted(),
    );
  });

  test("lists how long records can be kept", () => {
    const retention = documented("createTokenCache").filter((name) => name.startsWith("retention."));
    const known = propertiesOf("src/partitions/retention.ts", "Retention").map((name) => `retention.${name}`);
    expect(retention.toSorted()).toEqual(known.toSorted());
  });

  test.each([
    ["createConfidentialClient", "src/client/confidential-client.ts", "ConfidentialClientOptions"],
    ["createPublicClient", "src/client/public-client.ts", "PublicClientOptions"],
    ["createSignIn", "src/web/sign-in.ts", "SignInOptions"],
    ["expressSignIn", "src/web/express.ts", "ExpressSignInOptions"],
    ["sqliteStore", "src/adapters/sqlite.ts", "SqliteStoreOptions"],
    ["redisStore", "src/adapters/redis.ts", "RedisStoreOptions"],
    ["filesystemStore", "src/adapters/filesystem.ts", "FilesystemStoreOptions"],
    ["postgresStore", "src/adapters/postgres.ts", "PostgresStoreOptions"],
    ["memoryStore", "src/adapters/memory.ts", "MemoryStoreOptions"],
  ])("lists the options of %s and no others", (heading, path, type) => {
    expect(documented(heading).toSorted()).toEqual(propertiesOf(path, type).toSorted());
  });

  test("states the defaults that are in force", () => {
    const keys = createKeyRing({ sealing: { id: "k", key: new Uint8Array(32) } });
    const resolved = resolveOptions({ keys });
    const inForce = {
      namespace: resolved.namespace,
      coherenceBoundMs: resolved.coherenceBoundMs,
      maxStaleMs: resolved.maxStaleMs,
      maxClockSkewMs: resolved.maxClockSkewMs,
      unsavedMaxBytes: resolved.unsavedMaxBytes,
      "retention.userTtlMs": resolved.retention.userTtlMs,
      "retention.removalMarkerTtlMs": resolved.retention.removalMarkerTtlMs,
    };
    const stated = new Map(
      tableRows(read("docs/options.md"), "createTokenCache").map(([name, value]) => [named(name), value]),
    );
    for (const [name, value] of Object.entries(inForce)) {
      expect([name, stated.get(name)]).toEqual([
        name,
        typeof value === "number" ? value.toLocaleString("en-US") : `\`${value}\``,
      ]);
    }
  });
});

describe("docs/activity.md", () => {
  const rows = (heading: string): string[] => firstColumn("docs/activity.md", heading);

  test("has a row for each field of an account's activity", () => {
    const own = propertiesOf("src/activity/account-activity.ts", "AccountActivity");
    const reference = propertiesOf("src/activity/account-ref.ts", "AccountRef");
    expect(rows("Fields").toSorted()).toEqual([...own, ...reference].toSorted());
  });

  test("has a row for each status", () => {
    const union = /AccountStatus =([^;]+);/.exec(read("src/store/account-activity-store.ts"))?.[1] ?? "";
    const statuses = [...union.matchAll(/"([a-z-]+)"/g)].map(([, status = ""]) => status);
    expect(rows("Statuses").toSorted()).toEqual(statuses.toSorted());
  });

  test("names every filter", () => {
    const sentence = /`accounts\(\{ ([^}]+) \}\)`/.exec(read("docs/activity.md"))?.[1] ?? "";
    const known = propertiesOf("src/activity/activity.ts", "AccountsFilter");
    expect(sentence.split(", ").toSorted()).toEqual(known.toSorted());
  });
});
