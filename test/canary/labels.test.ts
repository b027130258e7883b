import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { ADA, createWorld } from "../support/world.ts";

test("an event's label is the same for one partition, and can be made by who knows its key", async () => {
  const world = createWorld();
  const node = world.node();
  const account = (await node.signIn(ADA)).account!;
  const { keys } = await world.store.admin.keys({ prefix: "tokenkeep:user", limit: 10 });
  await node.client.removeAccount(account);
  const labels = node.events.flatMap((event) => ("partition" in event ? [event.partition] : []));
  const label = createHash("sha256").update(keys[0]!).digest("base64url").slice(0, 12);
  expect(new Set(labels)).toEqual(new Set([label]));
});
