/**
 * Gets keys by one of the providers, holds the ring, and writes down what stands in its own heap.
 *
 * Arguments: how, the path to write to, and what the way needs. Prints the ids of the ring.
 */
import { writeHeapSnapshot } from "node:v8";
import { CryptographyClient } from "@azure/keyvault-keys";

import { azureKeyVault } from "../../../src/adapters/azure-key-vault.ts";
import { keysFromFile, keysFromWrapped, keyRingWrapper, type KeyRing } from "../../../src/index.ts";

const [how = "", snapshot = "", ...rest] = process.argv.slice(2);

const ways: Readonly<Record<string, () => KeyRing | Promise<KeyRing>>> = {
  file: () => keysFromFile(rest[0]!),
  wrapped: () => keysFromWrapped({ wrapper: keyRingWrapper(keysFromFile(rest[0]!)), keys: rest[1]! }).load(),
  vault() {
    const [keyId = "", ca = "", token = "", keys = ""] = rest;
    const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };
    const options = { tlsOptions: { ca }, disableChallengeResourceVerification: true };
    const wrapper = azureKeyVault({
      keyId,
      client: (key) => new CryptographyClient(key, credential, options),
    });
    return keysFromWrapped({ wrapper, keys }).load();
  },
};

const ring = await ways[how]!();
// The test's own proof that it would see a text.
const text =
  process.env["HOLD_AS_TEXT"] === "1" ? ring.find(ring.sealingKeyId)?.export().toString("base64url") : "";
writeHeapSnapshot(snapshot); // collects the garbage first
console.log(ring.keyIds.join(" "), (text ?? "").length);
