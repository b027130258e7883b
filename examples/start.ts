/**
 * The demonstration. `npm start` runs it for a person with a browser, `npm start -- --headless` plays the whole
 * story by itself and exits 0 only if it came out right.
 */
import { parseArgs } from "node:util";
import { runInteractive } from "./demo/interactive.ts";
import { playStory } from "./demo/story.ts";
import { STORE_KINDS, type StoreKind } from "./demo/store.ts";

const USAGE = `Usage: npm start -- [options]

  --port N      where the web app listens, default 3000; 0 for any free port
  --data DIR    where files and keys are kept, default .demo
  --store KIND  where tokens are kept: ${STORE_KINDS.join(", ")}; default ${STORE_KINDS[0]}
  --headless    play the whole story without a browser, in a folder of its own, and check it
  --help        show this`;

interface Options {
  readonly headless: boolean;
  readonly help: boolean;
  readonly port: number;
  readonly dataPath: string;
  readonly store: StoreKind;
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: "string" },
      data: { type: "string" },
      store: { type: "string", default: STORE_KINDS[0] },
      headless: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { port = "3000", data = ".demo", headless, help } = values;
  if (headless && (values.port ?? values.data) !== undefined) {
    throw new Error("--headless chooses its own ports and folder; leave --port and --data out");
  }
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Error("--port must be a number from 0 to 65535");
  }
  const store = STORE_KINDS.find((kind) => kind === values.store);
  if (store === undefined) throw new Error(`--store must be one of: ${STORE_KINDS.join(", ")}`);
  if (data === "") throw new Error("--data must be the path of a folder");
  return { headless, help, port: Number(port), dataPath: data, store };
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  const print = (line: string): void => console.log(line);
  try {
    if (options.help) print(USAGE);
    else if (!options.headless) await runInteractive({ ...options, print });
    else
      return (await playStory({ print, store: options.store, fault: process.env["TOKENKEEP_DEMO_FAULT"] }))
        ? 0
        : 1;
    return 0;
  } catch (error) {
    console.error(`The demonstration could not run: ${(error as Error).message}`);
    return 1;
  }
}

// Not process.exit: what has been printed must get out first.
process.exitCode = await main();
