/** Applications log what they hold: the objects of ours must show nothing, in whatever way they are printed. */
import { expect, test } from "vitest";
import { createKeyRing, parseKeys } from "../../src/envelope/key-ring.ts";
import { keyRingWrapper } from "../../src/envelope/key-ring-wrapper.ts";
import { newWrappedKey } from "../../src/envelope/new-wrapped-key.ts";
import { reloadingKeys } from "../../src/envelope/reloading-keys.ts";
import { keysFromWrapped } from "../../src/envelope/wrapped-keys.ts";
import { chaosStore } from "../support/chaos.ts";
import { ADA, READ, createWorld } from "../support/world.ts";
import { createTape } from "./tape.ts";
import { stringSecrets } from "../../examples/demo/scan.ts";
import { createWindowScan } from "./windows.ts";

/** 32 bytes that no text has by chance. */
const bytes = (seed: number): Buffer =>
  Buffer.from(Array.from({ length: 32 }, (_, index) => (seed + 37 * index) % 251));

test("no object that an application holds shows a token, secret or key, also while results wait", async () => {
  const world = createWorld();
  const [wrapping, name] = [bytes(3), bytes(5)];
  const wrapper = keyRingWrapper(createKeyRing({ sealing: { id: "w", key: wrapping } }));
  const source = keysFromWrapped({ wrapper, keys: await newWrappedKey(wrapper, { id: "k" }) });
  const keys = await reloadingKeys(source);
  const store = chaosStore(world.store);
  const node = world.node({ store, keys, names: { key: name }, storeBreaker: false });
  const signedIn = await node.signIn(ADA);
  store.fail("all", { times: Infinity });
  const { account } = signedIn;
  const renewed = await node.client.acquireTokenSilent({
    account: account!,
    scopes: READ,
    forceRefresh: true,
  });
  expect(renewed.metadata.saved).toBe(false);

  const tape = createTape();
  const objects = { cache: node.cache, client: node.client, keys, ring: keys.ring, source, wrapper };
  for (const [where, object] of Object.entries(objects)) tape.note(where, object);
  // What is behind the one getter, too.
  tape.note("parts", node.cache.parts, node.cache.parts.partitions, node.cache.parts.sealer);
  tape.note("parsed", parseKeys(`a:${bytes(7).toString("base64url")}`));

  const secrets = [
    { label: "wrapping key", value: wrapping },
    { label: "name key", value: name },
    { label: "data key", value: keys.ring.find("k")!.export() },
    { label: "parsed key", value: bytes(7) },
    ...stringSecrets("token", [signedIn.accessToken, signedIn.idToken, renewed.accessToken]),
    ...stringSecrets("issued", world.authority.issued),
  ];
  const scan = createWindowScan(secrets);
  expect(scan.find(tape.haystacks())).toEqual([]);
  // And it would be found.
  tape.note("a result", renewed);
  expect(scan.find(tape.haystacks())).not.toEqual([]);
});
