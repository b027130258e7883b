import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { settle } from "../support/settle.ts";
import { ADA, createWorld } from "../support/world.ts";

const unhandled = vi.fn();
beforeEach(() => void process.on("unhandledRejection", unhandled));
afterEach(() => void process.off("unhandledRejection", unhandled));

test("an onEvent listener that is asynchronous and fails does not end the process", async () => {
  let reported = 0;
  // No mock: those handle what their promises reject with.
  const onEvent = (): unknown => {
    reported += 1;
    return Promise.reject(new Error("the log server is down"));
  };
  const node = createWorld().node({ onEvent });
  const { account } = await node.signIn(ADA);
  await node.client.removeAccount(account!);
  await settle();
  expect(reported).toBeGreaterThan(0);
  expect(unhandled).not.toHaveBeenCalled();
});
