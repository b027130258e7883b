import { afterAll, beforeAll, expect, test } from "vitest";
import { openCompiler, type Compiler, type Type } from "../../scripts/lib/compiler.ts";
import { createConfidentialClient } from "../../src/client/confidential-client.ts";
import { createTokenCache } from "../../src/token-cache.ts";
import { read } from "./documents.ts";

const EVERY_REQUEST = "Every request";
const WORDS = ["same", "different", "refused", "new"];

interface Row {
  readonly table: string;
  readonly member: string;
  readonly here: string;
}

/** The tables below third-level headings. */
function rowsOf(page: string): Row[] {
  return page
    .split(/^### /m)
    .slice(1)
    .flatMap((section) => {
      const table = section.split("\n", 1)[0] ?? "";
      return [...section.matchAll(/^\| `(\w+)`\s*\| (\w+)/gm)].map(([, member = "", here = ""]) => ({
        table,
        member,
        here,
      }));
    });
}

const all = rowsOf(read("docs/from-msal-node.md"));
const rows = all.filter(({ here }) => here !== "new");

let compiler: Compiler;
/** By table: the members of MSAL's type, and of ours in its place. */
let msal: Map<string, Map<string, Type>>;
let ours: Map<string, Map<string, Type>>;

beforeAll(() => {
  compiler = openCompiler();
  const { checker } = compiler;
  const types = compiler.exportsOf("test/docs/fixtures/msal-surface.ts");
  const membersOf = (type: Type): Map<string, Type> =>
    new Map(
      checker.getPropertiesOfType(type).map((member) => [member.name, checker.getTypeOfSymbol(member)!]),
    );
  const surface = (name: string): Map<string, Map<string, Type>> => {
    const tables = membersOf(checker.getDeclaredTypeOfSymbol(types.get(name)!));
    return new Map([...tables].map(([table, type]) => [table, membersOf(type)]));
  };
  msal = surface("Msal");
  ours = surface("Ours");
});
afterAll(() => compiler.close());

const isRequest = (table: string): boolean => table.endsWith("Request");
const label = ({ table, member }: { table: string; member: string }): string => `${table}.${member}`;

test("every public member of MSAL's clients, configuration and requests has one row", () => {
  const listed = rows.map(label);
  expect(new Set(listed).size).toBe(listed.length);
  const common = new Set(rows.filter(({ table }) => table === EVERY_REQUEST).map(({ member }) => member));
  const missing = [...msal].flatMap(([table, members]) =>
    [...members.keys()]
      .filter((member) => !(isRequest(table) && common.has(member)))
      .map((member) => label({ table, member }))
      .filter((name) => !listed.includes(name)),
  );
  expect(missing).toEqual([]);
  expect(listed.length).toBeGreaterThan(130);
});

test("no row names a member that MSAL does not have", () => {
  const requests = [...msal].filter(([table]) => isRequest(table));
  const exists = ({ table, member }: Row): boolean =>
    table === EVERY_REQUEST
      ? requests.some(([, members]) => members.has(member))
      : msal.get(table)?.has(member) === true;
  expect(rows.filter((row) => !exists(row)).map(label)).toEqual([]);
  expect(rows.filter(({ here }) => !WORDS.includes(here)).map(label)).toEqual([]);
});

test("what is called same or different is there: applications' values fit, and results fit applications", () => {
  const fits = (table: string, member: string): boolean => {
    const [theirs, our] = [msal.get(table)?.get(member), ours.get(table)?.get(member)];
    if (!theirs || !our) return false;
    const isGiven = isRequest(table) || table.startsWith("Configuration");
    return compiler.checker.isTypeAssignableTo(
      ...(isGiven ? ([theirs, our] as const) : ([our, theirs] as const)),
    );
  };
  const tablesOf = ({ table, member }: Row): string[] =>
    table === EVERY_REQUEST
      ? [...msal.keys()].filter((name) => isRequest(name) && msal.get(name)?.has(member))
      : [table];
  const wrong = rows
    .filter(({ here }) => here !== "refused")
    .flatMap((row) =>
      tablesOf(row)
        .filter((table) => !fits(table, row.member))
        .map((table) => `${table}.${row.member}`),
    );
  expect(wrong).toEqual([]);
});

test("what is called new is what only our clients and their options have, all of it", () => {
  const added = ["ConfidentialClientApplication", "PublicClientApplication", "Configuration"].flatMap(
    (table) =>
      [...(ours.get(table)?.keys() ?? [])]
        .filter((member) => !msal.get(table)?.has(member))
        .map((member) => label({ table, member })),
  );
  const called = all.filter(({ here }) => here === "new").map(label);
  expect(called.toSorted()).toEqual(added.toSorted());
});

test("what is called refused does not compile, or says ERR_NOT_SUPPORTED", async () => {
  const refused = rows.filter(({ here }) => here === "refused");
  const ofCache = refused.filter(({ table }) => table === "TokenCache").map(({ member }) => member);
  const there = refused.filter(({ table, member }) => table !== "TokenCache" && ours.get(table)?.has(member));
  expect(there.map(label)).toEqual([]);
  const tokenCache = createTokenCache();
  const client = createConfidentialClient({ auth: { clientId: "id", clientSecret: "s" }, tokenCache });
  const cache = client.getTokenCache() as unknown as Record<string, () => unknown>;
  expect(ofCache.length).toBeGreaterThan(0);
  for (const method of ofCache) {
    expect(() => cache[method]?.(), method).toThrow(expect.objectContaining({ code: "ERR_NOT_SUPPORTED" }));
  }
  await tokenCache.close();
});
