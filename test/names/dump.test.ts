/** With a name key, a store names nobody, and everything works as before. */
import { createHash } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import type { Haystack, Secret } from "../../examples/demo/scan.ts";
import { createCast } from "../canary/cast.ts";
import { drive } from "../canary/drive.ts";
import { driveStores, type DriveStore } from "../canary/stores.ts";
import { createTape } from "../canary/tape.ts";
import { createWindowScan } from "../canary/windows.ts";
import { OUTCOMES } from "../canary/outcomes.ts";
import { DEFAULT_CLIENT_IDS } from "../../src/testing/authority/options.ts";
import type { Authority } from "../support/world.ts";

vi.setConfig({ testTimeout: 180_000 });

const NAME_KEY = createHash("sha256").update("the name key of a drive").digest();

/** Who and what must not be named: ids and names of people, tenants and applications, as text and as GUID bytes. */
function namesOf(authority: Authority): Secret[] {
  const people = authority.users.flatMap(({ username, oid, name }) => [username, oid, name]);
  const guids = [...authority.tenants.map(({ tenantId }) => tenantId), ...Object.values(DEFAULT_CLIENT_IDS)];
  const texts = [...new Set([...people, ...guids])].filter((text) => text.length >= 12);
  return [
    ...texts.map((value) => ({ label: value, value })),
    ...texts
      .filter((text) => /^[\da-f-]{36}$/.test(text))
      .map((text) => ({ label: `${text}, its bytes`, value: Buffer.from(text.replaceAll("-", ""), "hex") })),
    ...texts.map((text) => ({
      label: `${text}, its digest`,
      value: createHash("sha256").update(text).digest(),
    })),
  ];
}

async function namedIn({ start }: DriveStore, nameKey?: Uint8Array) {
  const backend = await start();
  const tape = createTape();
  const cast = createCast({ backend, tape, sealed: true, ...(nameKey && { nameKey }) });
  try {
    const { outcomes, spilled } = await drive(cast);
    const dump: Haystack[] = [...(await backend.dump()), ...spilled];
    const said = tape.haystacks().filter(({ name }) => SAID.includes(name));
    const scan = createWindowScan([...namesOf(cast.authority), { label: "the name key", value: NAME_KEY }]);
    const found = (haystacks: readonly Haystack[]): string[] => scan.find(haystacks).map(({ what }) => what);
    return { outcomes, inStore: found(dump), said: found(said) };
  } finally {
    await cast.close();
    await backend.close();
  }
}

const SAID = ["what is said to the store", "messages to other processes", "leases", "activity rows"];

describe.each(driveStores)("$name", (store) => {
  test("a dump names no user, tenant or application in any way of writing it, and the whole day goes as ever", async () => {
    const { outcomes, inStore, said } = await namedIn(store, NAME_KEY);
    expect(outcomes).toEqual(OUTCOMES);
    expect({ inStore, said }).toEqual({ inStore: [], said: [] });
  });

  test("and without a name key the same search finds them", async () => {
    const { inStore, said } = await namedIn(store);
    expect(new Set(inStore).size).toBeGreaterThan(5);
    expect(new Set(said).size).toBeGreaterThan(5);
  });
});
