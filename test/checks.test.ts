import { describe, expect, test } from "vitest";
import {
  checkedChoice,
  checkedPositive,
  checkedRuntime,
  checkMethods,
  checkOptionNames,
  checkTexts,
} from "../src/checks.ts";
import { OptionsError } from "../src/errors.ts";
import { systemRuntime, type Runtime } from "../src/runtime.ts";

const KNOWN = new Set(["redirectUri", "scopes", "ttlMs", "l1"]);

function errorOf(check: () => void): OptionsError {
  try {
    check();
  } catch (error) {
    if (error instanceof OptionsError) return error;
    throw error;
  }
  throw new Error("nothing was wrong");
}

describe("a misspelt name", () => {
  test.each([
    ["redirectUrl", "redirectUri"],
    ["redirecturi", "redirectUri"],
    ["scope", "scopes"],
    ["scoeps", "scopes"],
    ["ttl", "ttlMs"],
    ["l1MaxBytes", "l1"],
  ])("is answered with the one that was meant: %s", (name, meant) => {
    const error = errorOf(() => checkOptionNames({ [name]: "secret" }, KNOWN, "createThing", "part"));
    expect(error.option).toBe(`part.${name}`);
    expect(error.message).toContain(`did you mean \`part.${meant}\``);
    expect(error.message).not.toContain("secret");
  });

  test.each(["colour", "x", "", "__proto__x"])("that is near to none gets no guess: %j", (name) => {
    const error = errorOf(() => checkOptionNames({ [name]: 1 }, KNOWN, "createThing"));
    expect(error).toMatchObject({ option: name, code: "ERR_OPTION_INVALID" });
    expect(error.message).not.toContain("did you mean");
  });

  test.each(["a name with spaces", "0.AXkAh-refresh-token-that-nobody-may-see", "x".repeat(40)])(
    "that is no name is not repeated, for it may be a secret: %j",
    (name) => {
      const error = errorOf(() => checkOptionNames({ [name]: 1 }, KNOWN, "createThing", "part"));
      expect(error.option).toBe("part.…");
      expect(`${error.message}${error.stack}`).not.toContain(name);
    },
  );

  test("is one also if its value is undefined; every known name may be absent or undefined", () => {
    expect(errorOf(() => checkOptionNames({ scope: undefined }, KNOWN, "createThing")).option).toBe("scope");
    checkOptionNames({ scopes: undefined }, KNOWN, "createThing");
    checkOptionNames({}, KNOWN, "createThing");
  });
});

test.each([undefined, null, "text", 5, [], true, () => 0])("options are an object, not %j", (options) => {
  expect(errorOf(() => checkOptionNames(options, KNOWN, "createThing")).option).toBe("options");
});

test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, "5", null, 101])(
  "a number of what there is some of is finite, greater than 0 and within its bound: not %j",
  (value) => {
    expect(errorOf(() => checkedPositive(value as number, "ttlMs", 7, 100)).option).toBe("ttlMs");
  },
);

test("undefined means the default", () => {
  expect(checkedPositive(undefined, "ttlMs", 7)).toBe(7);
  expect(checkedChoice(undefined, "mode", ["a", "b"])).toBe("a");
  expect(checkedRuntime(undefined)).toBe(systemRuntime);
});

test("a runtime has every method of one, its own or its class's", () => {
  const { uuid: _uuid, ...lacking } = systemRuntime;
  const error = errorOf(() => checkedRuntime(lacking as Runtime));
  expect(error).toMatchObject({ option: "runtime" });
  expect(error.message).toContain("uuid()");
  const derived = Object.create(systemRuntime) as Runtime;
  expect(checkedRuntime(derived)).toBe(derived);
});

test.each([null, 5, "store", {}])("what is known by its methods is not %j", (value) => {
  expect(errorOf(() => checkMethods(value, "store", ["get"], "a store")).option).toBe("store");
});

test.each(["User.Read", [5], [["a"]], {}, null])("a list of texts is not %j", (value) => {
  expect(errorOf(() => checkTexts(value, "scopes")).option).toBe("scopes");
});
