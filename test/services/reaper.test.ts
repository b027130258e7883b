import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { fetchNothing } from "./listener.ts";

test("a server does not outlive a test process that was killed", async () => {
  const file = fileURLToPath(new URL("children/dies-with-a-server.ts", import.meta.url));
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const port = Number(line.toString());
  await fetchNothing(port);
  child.kill("SIGKILL");
  const listening = () =>
    fetchNothing(port).then(
      () => true,
      () => false,
    );
  await expect.poll(listening, { timeout: 20_000 }).toBe(false);
});
