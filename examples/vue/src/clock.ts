/** The page's clock, which the fault panel sets wrong. Imported before everything that asks it. */

const RealDate = Date;
let offset = 0;

/** Let `Date` be wrong by this many milliseconds; 0 is right. */
export function skewClock(milliseconds: number): void {
  offset = milliseconds;
}

/** The right time in milliseconds, whatever `Date` says. */
export function rightNow(): number {
  return RealDate.now();
}

globalThis.Date = new Proxy(RealDate, {
  get: (target, name) =>
    name === "now" ? () => target.now() + offset : Reflect.get(target, name),
  construct: (target, words: unknown[]) =>
    Reflect.construct(target, words.length ? words : [target.now() + offset]) as Date,
});
