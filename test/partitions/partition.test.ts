import fc from "fast-check";
import { expect, test } from "vitest";
import {
  accountPartition,
  appPartition,
  flowPartition,
  oboPartition,
  partitionFromId,
  userPartition,
} from "../../src/partitions/partition.ts";

const text = fc.string({ minLength: 1, maxLength: 12, unit: "binary" });
const kinds = [userPartition, appPartition, oboPartition, accountPartition, flowPartition];

test("partitions of different kinds, applications, issuers or subjects never share a key", () => {
  const made = fc.record({
    kind: fc.integer({ min: 0, max: kinds.length - 1 }),
    clientId: text,
    issuer: text,
    subject: text.filter((subject) => subject === subject.toLowerCase()),
  });
  fc.assert(
    fc.property(made, made, (a, b) => {
      const idOf = ({ kind, subject, ...scope }: typeof a): string => kinds[kind]!(scope, subject).id;
      const wellFormed = (value: typeof a): unknown =>
        [value.kind, value.clientId, value.issuer, value.subject].map((part) =>
          typeof part === "string" ? part.toWellFormed() : part,
        );
      if (JSON.stringify(wellFormed(a)) === JSON.stringify(wellFormed(b))) expect(idOf(a)).toBe(idOf(b));
      else expect(idOf(a)).not.toBe(idOf(b));
    }),
  );
});

test("a home account id of two GUIDs is the same in any case, another provider's subject is not", () => {
  const scope = { clientId: "c", issuer: "i" };
  const home = "AAAAAAAA-aaaa-4aaa-8aaa-aaaaaaaaaaaa.BBBBBBBB-bbbb-4bbb-8bbb-bbbbbbbbbbbb";
  expect(userPartition(scope, home).id).toBe(userPartition(scope, home.toLowerCase()).id);
  expect(userPartition(scope, "Subject").id).not.toBe(userPartition(scope, "subject").id);
});

test("a listed partition is the one that was listed", () => {
  const made = oboPartition({ clientId: "a:b", issuer: "host/path" }, "assertion");
  expect(partitionFromId(made.id, "home")).toEqual({ ...made, homeAccountId: "home" });
});

test("an assertion is not in its key", () => {
  expect(oboPartition({ clientId: "c", issuer: "i" }, "very-secret-assertion").id).not.toContain("secret");
});

test("an empty part is refused by name", () => {
  expect(() => userPartition({ clientId: "c", issuer: "i" }, "")).toThrow(/homeAccountId/);
  expect(() => userPartition({ clientId: "", issuer: "i" }, "h")).toThrow(/clientId/);
});
