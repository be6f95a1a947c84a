/**
 * How long an access token lasts, by this machine alone: a server's clock, `exp` and `Date` are
 * never asked, so a clock that is an hour off changes nothing.
 */

/** When a token came: `at` by the wall clock, for storage; `expiresIn` in seconds. */
export interface Received {
  at: number;
  expiresIn: number;
}

/**
 * Return the moment it came by the clock of this page, which cannot be set. One from the future
 * means that the wall clock was set back since: then it came forever ago.
 */
export function pageTime({ at }: Received): number {
  const elapsed = Date.now() - at;
  return elapsed < 0 ? -Infinity : performance.now() - elapsed;
}

/**
 * Return the seconds it has left. The clock of the page stands still while some machines sleep,
 * the wall clock does not: whichever says more time has passed is believed.
 */
export function secondsLeft(token: Received, came: number): number {
  return token.expiresIn - Math.max(performance.now() - came, Date.now() - token.at) / 1000;
}

/** Return how many seconds before its end a token is renewed. */
export function margin({ expiresIn }: Received): number {
  return Math.min(60, expiresIn / 10);
}
