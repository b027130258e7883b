import { expect, test } from "vitest";
import { findChromium } from "./chromium.ts";

function machine(env: NodeJS.ProcessEnv, ...programs: string[]) {
  const there = new Set(programs);
  let installs = 0;
  return {
    env,
    exists: (path: string) => there.has(path),
    install() {
      installs += 1;
      if (env["APT_WORKS"]) there.add("/usr/bin/chromium");
    },
    installs: () => installs,
  };
}

test("Chromium is taken from where TOKENKEEP_CHROMIUM says, else from where Debian puts it", () => {
  expect(findChromium(machine({ TOKENKEEP_CHROMIUM: "/opt/c" }, "/opt/c", "/usr/bin/chromium"))).toBe(
    "/opt/c",
  );
  expect(findChromium(machine({}, "/usr/bin/chromium"))).toBe("/usr/bin/chromium");
  expect(() => findChromium(machine({ TOKENKEEP_CHROMIUM: "/opt/c" }))).toThrow("TOKENKEEP_CHROMIUM");
});

test("where Chromium is missing it is installed only with CI=true or TOKENKEEP_APT=1, and nothing is left out then", () => {
  const person = machine({});
  expect(findChromium(person)).toBe(undefined);
  expect(person.installs()).toBe(0);
  for (const env of [{ CI: "true" }, { TOKENKEEP_APT: "1" }]) {
    expect(findChromium(machine({ ...env, APT_WORKS: "yes" }))).toBe("/usr/bin/chromium");
    expect(() => findChromium(machine(env))).toThrow("apt-get");
  }
});
