/** What operators and clean-up need beyond {@link BlobStore}. Types only. */
export interface BlobAdmin {
  /** One page of keys in a stable order, expired ones left out. `cursor` is the last answer's. */
  keys(options: { readonly prefix: string; readonly limit: number; readonly cursor?: string }): Promise<{
    readonly keys: readonly string[];
    readonly cursor?: string;
  }>;
  /** Deletes at most `limit` expired values. @returns how many. */
  purgeExpired(options: { readonly limit: number }): Promise<number>;
}
