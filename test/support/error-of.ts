import { TokenkeepError } from "../../src/errors.ts";

/** What a call failed with, which must be an error of ours. */
export async function errorOf(work: Promise<unknown>): Promise<TokenkeepError> {
  const error = await work.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof TokenkeepError) return error;
  throw error;
}
