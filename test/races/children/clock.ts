/** A wall clock that the parent moves: MSAL, tokenkeep and SQLite's expiry all read it. Timers stay real. */
export function movableClock(): { pass(ms: number): void } {
  const RealDate = Date;
  let offset = 0;
  const now = (): number => RealDate.now() + offset;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args: unknown[], newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as Date,
    get: (target, name, receiver) =>
      name === "now" ? now : (Reflect.get(target, name, receiver) as unknown),
  });
  return {
    pass(ms) {
      offset += ms;
    },
  };
}
