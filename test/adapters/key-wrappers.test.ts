/** Every key wrapper of ours, and the one that docs/key-providers.md shows, keeps the published contract. */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { CryptographyClient } from "@azure/keyvault-keys";
import { describe, expect, test } from "vitest";

import { azureKeyVault } from "../../src/adapters/azure-key-vault.ts";
import { createKeyRing, keyRingWrapper, TokenkeepError, type KeyWrapper } from "../../src/index.ts";
import { keyWrapperContract, type OpenedKeyWrapper } from "../../src/testing/index.ts";
import { startKeyVault } from "../services/key-vault.ts";

const runner = { test, expect, describe };

keyWrapperContract({
  ...runner,
  name: "keyRingWrapper",
  async open() {
    const sealing = { id: "a", key: randomBytes(32) };
    const make = (): KeyWrapper => keyRingWrapper(createKeyRing({ sealing }));
    return { wrapper: make(), second: make(), close: async () => undefined };
  },
});

for (const [kind, algorithm] of [
  ["RSA", "RSA-OAEP-256"],
  ["oct-HSM", "A256KW"],
] as const) {
  keyWrapperContract({
    ...runner,
    name: `azureKeyVault, ${algorithm}`,
    capabilities: { canRotate: true, canFail: true, canHang: true, canForbid: true },
    async open() {
      const vault = await startKeyVault();
      vault.rotate("k", kind);
      const credential = {
        getToken: async () => ({ token: vault.token, expiresOnTimestamp: Date.now() + 3_600_000 }),
      };
      const options = {
        tlsOptions: { ca: vault.ca },
        disableChallengeResourceVerification: true,
        retryOptions: { maxRetries: 0 },
      };
      const make = (): KeyWrapper =>
        azureKeyVault({
          keyId: `${vault.url}/keys/k`,
          client: (key) => new CryptographyClient(key, credential, options),
          algorithm,
        });
      return {
        wrapper: make(),
        second: make(),
        rotate: () => void vault.rotate("k", kind),
        fail: () => void (vault.fault = { kind: "down" }),
        hang: () => void (vault.fault = { kind: "hangs" }),
        forbid: () => void vault.permissions.delete("unwrapKey"),
        close: () => vault.close(),
      };
    },
  });
}

// --- the page's own provider ---

/** As much of AWS KMS as the page uses: its calls, its answers, and the names of its errors. */
function fakeKms() {
  const keys = new Map<string, Buffer>();
  let fault: "down" | "hangs" | "forbidden" | undefined;
  const rotate = (): void =>
    void keys.set(`arn:aws:kms:eu-central-1:1:key/${keys.size + 1}`, randomBytes(32));
  rotate();
  const named = (name: string): Error => Object.assign(new Error("refused"), { name });
  async function answer<T>(signal: AbortSignal, decrypts: boolean, work: () => T): Promise<T> {
    if (fault === "hangs") {
      await new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(named("AbortError")));
      });
    }
    if (fault === "down") throw named("TimeoutError");
    if (fault === "forbidden" && decrypts) throw named("AccessDeniedException");
    return work();
  }
  const aad = (context: Record<string, string>): Buffer => Buffer.from(JSON.stringify(context));
  const client = {
    encrypt: (input: Input & { Plaintext: Uint8Array }, { abortSignal }: Call) =>
      answer(abortSignal, false, () => {
        const [id, key] = [...keys].at(-1)!; // by its alias, the newest
        const nonce = randomBytes(12);
        const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(aad(input.EncryptionContext));
        const sealed = [nonce, cipher.update(input.Plaintext), cipher.final(), cipher.getAuthTag()];
        return { CiphertextBlob: Uint8Array.from(Buffer.concat(sealed)), KeyId: id };
      }),
    decrypt: (input: Input & { CiphertextBlob: Uint8Array }, { abortSignal }: Call) =>
      answer(abortSignal, true, () => {
        const key = keys.get(input.KeyId);
        if (key === undefined) throw named("NotFoundException");
        const bytes = Buffer.from(input.CiphertextBlob);
        try {
          const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, 12), { authTagLength: 16 });
          decipher.setAAD(aad(input.EncryptionContext)).setAuthTag(bytes.subarray(-16));
          const opened = [decipher.update(bytes.subarray(12, -16)), decipher.final()];
          return { Plaintext: Uint8Array.from(Buffer.concat(opened)) };
        } catch {
          throw named("InvalidCiphertextException");
        }
      }),
  };
  return { client, rotate, set: (next: typeof fault) => void (fault = next) };
}

interface Input {
  readonly KeyId: string;
  readonly EncryptionContext: Record<string, string>;
}
interface Call {
  readonly abortSignal: AbortSignal;
}

type MakeKmsWrapper = (options: { readonly client: object; readonly keyId: string }) => KeyWrapper;

/** The block that begins with `// kms.ts`, as it is printed. */
function kmsWrapperOfThePage(): MakeKmsWrapper {
  const page = readFileSync(new URL("../../docs/key-providers.md", import.meta.url), "utf8");
  const block = /```ts\n(\/\/ kms\.ts\n.*?)```/s.exec(page)?.[1] ?? "";
  const body = stripTypeScriptTypes(block.replace(/^import .*;\n/gm, ""), { mode: "strip" });
  // "tokenkeep" is not installed in its own repository, so what the page imports is given as an argument.
  // oxlint-disable-next-line no-new-func, typescript/no-implied-eval
  const run = new Function("TokenkeepError", `${body.replaceAll(/^export /gm, "")}\nreturn kmsWrapper;`);
  return run(TokenkeepError) as MakeKmsWrapper;
}

keyWrapperContract({
  ...runner,
  name: "the page's provider",
  capabilities: { canRotate: true, canFail: true, canHang: true, canForbid: true },
  async open(): Promise<OpenedKeyWrapper> {
    const kms = fakeKms();
    return {
      wrapper: kmsWrapperOfThePage()({ client: kms.client, keyId: "alias/tokenkeep" }),
      rotate: kms.rotate,
      fail: () => kms.set("down"),
      hang: () => kms.set("hangs"),
      forbid: () => kms.set("forbidden"),
      close: async () => undefined,
    };
  },
});
