/**
 * What the provider wants: tokens renewed ahead of time, and secrets that somebody has replaced there, so that for a
 * while nobody has told the applications.
 */
import { API_ID, WEB_ID } from "./cast.ts";
import { meetAhead } from "./scenes.ts";
import type { World } from "./world.ts";

export interface Secrets {
  /** Replaces secrets, and puts them back, until healed. */
  begin(world: World): void;
  /** Puts them back for good. */
  heal(): void;
  /** True if an application's secret was wrong at any time from `fromMs` on. */
  wereWrongSince(fromMs: number): boolean;
}

export function createSecrets(): Secrets {
  let world: World | undefined;
  let isHealed = false;
  let wrongUntil = Number.NEGATIVE_INFINITY;

  function put(clientId: string, secret: string): void {
    world?.provider.authority.rotateSecret(clientId, secret);
  }

  function replace({ provider, scheduler, prng, faults, history }: World): void {
    if (scheduler.nowMs < wrongUntil) return;
    const clientId = prng.secrets.pick([WEB_ID, API_ID]);
    const { clientSecret = "" } = provider.authOf(clientId);
    const lastsMs = prng.secrets.wait(8_000);
    wrongUntil = scheduler.nowMs + lastsMs;
    faults.note("secret", undefined, lastsMs);
    history.add(`! the secret of ${clientId} is another one for ${Math.round(lastsMs)} ms`);
    put(clientId, "what nobody has been told");
    scheduler.after(lastsMs, undefined, () => put(clientId, clientSecret));
  }

  function meetNowAndThen(given: World, refreshInSeconds: number): void {
    given.scheduler.after(given.prng.secrets.wait(60_000), undefined, () => {
      if (isHealed) return;
      meetAhead(given, given.prng.secrets, refreshInSeconds);
      meetNowAndThen(given, refreshInSeconds);
    });
  }

  return {
    begin(given) {
      world = given;
      const { refreshInSeconds } = given.profile;
      if (refreshInSeconds !== undefined) meetNowAndThen(given, refreshInSeconds);
      if (!given.profile.losesSecret) return;
      const again = (): void => {
        given.scheduler.after(given.prng.secrets.wait(40_000), undefined, () => {
          if (isHealed) return;
          replace(given);
          again();
        });
      };
      again();
    },
    heal() {
      isHealed = true;
    },
    wereWrongSince: (fromMs) => wrongUntil >= fromMs,
  };
}
