/** One piece of work per key at a time: whoever asks meanwhile shares its outcome. */
export interface SingleFlight {
  /** Runs `work`, or joins the one already running for `key`. Outcomes are not remembered. */
  run<V>(group: string, key: string, work: () => Promise<V>): Promise<V>;
  /** Lets running work finish for those who wait, but nobody joins it any more: the group changed. */
  detach(group: string): void;
}

/**
 * Groups let one call detach everything that concerns a partition; a key is only unique in its group.
 * Callers that join must not change what they are given.
 */
export function createSingleFlight(): SingleFlight {
  const groups = new Map<string, Map<string, Promise<unknown>>>();

  function run<V>(group: string, key: string, work: () => Promise<V>): Promise<V> {
    const flights = groups.get(group) ?? new Map<string, Promise<unknown>>();
    const running = flights.get(key);
    if (running) return running as Promise<V>;
    groups.set(group, flights);
    const flight = work();
    flights.set(key, flight);
    const land = (): void => {
      flights.delete(key);
      // A detached map is no longer the one in `groups`, and must not take its successor with it.
      if (flights.size === 0 && groups.get(group) === flights) groups.delete(group);
    };
    // First in line: whoever is told of the outcome finds that nothing is under way any more.
    flight.then(land, land);
    return flight;
  }

  return { run, detach: (group) => void groups.delete(group) };
}
