import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { settle } from "../support/settle.ts";
import { ADA, createWorld } from "../support/world.ts";

const unhandled = vi.fn();
beforeEach(() => void process.on("unhandledRejection", unhandled));
afterEach(() => void process.off("unhandledRejection", unhandled));

test("an onEvent listener that is asynchronous and fails does not end the process", async () => {
  const onEvent = vi.fn(() => Promise.reject(new Error("the log server is down")));
  const node = createWorld().node({ onEvent });
  const { account } = await node.signIn(ADA);
  await node.client.removeAccount(account!);
  await settle();
  expect(onEvent).toHaveBeenCalled();
  expect(unhandled).not.toHaveBeenCalled();
});
