/** The change counter and messages as two files that only grow by appending. */
import { watch, type FSWatcher } from "node:fs";
import { appendFile, open, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { createListeners } from "./shared/listeners.ts";
import { isMissing } from "./filesystem-errors.ts";
import type { Calls } from "./filesystem-calls.ts";
import type { Runtime, Timer } from "../runtime.ts";
import type { Backplane, BackplaneMessage } from "../store/backplane.ts";

/** Messages are only a hint, so the file starts anew rather than grow. */
const MAX_MESSAGES_BYTES = 256 * 1024;

/** Where the system does not say that the file has changed. */
const LOOK_EVERY_MS = 1_000;

/**
 * One byte a removal or strengthening is appended to `changes`, whose length is the counter: it needs no lock,
 * and no crash can set it back. Messages go to a file beside it, which listeners watch.
 */
export function filesystemBackplane(
  { call, checkOpen }: Calls,
  folder: string,
  runtime: Runtime,
): { readonly backplane: Backplane; readonly closeListeners: () => void } {
  const changes = join(folder, "changes");
  const messages = join(folder, "messages");
  const reader = createReader(folder, messages, runtime);
  const backplane: Backplane = {
    changeCounter: () =>
      call("change counter", async () => {
        const { size, birthtimeMs } = await statOrCreate(changes);
        return `${Math.floor(birthtimeMs).toString(36)}.${size}`;
      }),
    publish: ({ key, version }) =>
      call("publish", async () => {
        await appendFile(changes, ".", { mode: 0o600 });
        await appendMessage(messages, { key, version });
        await reader.look();
      }),
    subscribe(listener) {
      checkOpen();
      return reader.subscribe(listener);
    },
  };
  return { backplane, closeListeners: () => reader.close() };
}

async function statOrCreate(path: string): Promise<{ readonly size: number; readonly birthtimeMs: number }> {
  try {
    return await stat(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await appendFile(path, "", { mode: 0o600 });
    return stat(path);
  }
}

async function appendMessage(path: string, message: BackplaneMessage): Promise<void> {
  const size = await stat(path).then(
    (stats) => stats.size,
    () => 0,
  );
  if (size > MAX_MESSAGES_BYTES) await unlink(path).catch(() => undefined);
  await appendFile(path, `${JSON.stringify(message)}\n`, { mode: 0o600 });
}

interface Reader {
  subscribe(listener: (message: BackplaneMessage) => void): () => void;
  /** Tells what has been written since the last look. */
  look(): Promise<void>;
  close(): void;
}

/** Reads the file's new lines when the system says that there are some, and now and then without. */
function createReader(folder: string, path: string, runtime: Runtime): Reader {
  const listeners = createListeners();
  let count = 0;
  let position: { readonly inode: number; readonly offset: number } | undefined;
  let looking = Promise.resolve();
  let watcher: FSWatcher | undefined;
  let timer: Timer;

  async function readOn(): Promise<void> {
    const file = await open(path, "r").catch(() => undefined);
    if (file === undefined) return void (position ??= { inode: 0, offset: 0 });
    try {
      const { ino, size } = await file.stat();
      const from = position?.inode === ino && position.offset <= size ? position.offset : 0;
      // What was there before anybody listened is nobody's news.
      if (position === undefined) return void (position = { inode: ino, offset: size });
      const buffer = Buffer.alloc(size - from);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
      const lines = buffer.subarray(0, bytesRead);
      const end = lines.lastIndexOf("\n") + 1;
      position = { inode: ino, offset: from + end };
      tellAll(lines.toString("utf8", 0, end));
    } finally {
      await file.close();
    }
  }

  function tellAll(text: string): void {
    for (const line of text.split("\n")) {
      const message = parseMessage(line);
      if (message !== undefined) listeners.tell(message);
    }
  }

  function look(): Promise<void> {
    if (count === 0) return Promise.resolve();
    // Messages are only a hint: a file that cannot be read is no failure of anybody's call.
    looking = looking.then(readOn).catch(() => undefined);
    return looking;
  }

  function lookAgainLater(): void {
    timer = runtime.setTimer(() => {
      void look();
      lookAgainLater();
    }, LOOK_EVERY_MS);
  }

  function start(): void {
    void look();
    lookAgainLater();
    try {
      watcher = watch(folder, { persistent: false }, () => void look());
      watcher.on("error", () => watcher?.close());
    } catch {
      // Too many watches on this machine, or a file system without them: the timer is enough.
    }
  }

  function stop(): void {
    watcher?.close();
    runtime.clearTimer(timer);
    position = undefined;
  }

  return {
    look,
    subscribe(listener) {
      const end = listeners.add(listener);
      count += 1;
      if (count === 1) start();
      let ended = false;
      return () => {
        if (ended) return;
        ended = true;
        end();
        count -= 1;
        if (count === 0) stop();
      };
    },
    close() {
      listeners.clear();
      if (count > 0) stop();
      count = 0;
    },
  };
}

function parseMessage(line: string): BackplaneMessage | undefined {
  if (line === "") return undefined;
  try {
    const { key, version } = JSON.parse(line) as Partial<BackplaneMessage>;
    return typeof key === "string" && typeof version === "string" ? { key, version } : undefined;
  } catch {
    return undefined;
  }
}
