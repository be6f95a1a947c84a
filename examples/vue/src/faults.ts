/** What the fault panel has set up to go wrong, and what has gone wrong since. */

import { reactive } from "vue";
import { skewClock } from "./clock";

const HOUR = 3_600_000;

export const faults = reactive({
  /** An access token that every API refuses from now on; "" for none. */
  expired: "",
  /** Answers to the next refreshes that are thrown away. */
  dropped: 0,
  /** Refreshes that are answered 500 and never sent. */
  serverErrors: 0,
  /** Refreshes that are answered 429 and never sent. */
  tooMany: 0,
  /** Seconds that those 429 ask to wait. */
  retryAfter: 1,
  /** Hours that this page's clock is wrong. */
  skew: 0,
});

/** The faults that requests have run into, in words, since the list was last emptied. */
export const met: string[] = [];

/** Set the page's clock wrong by so many hours; 0 sets it right. */
export function skew(hours: number): void {
  faults.skew = hours;
  skewClock(hours * HOUR);
}

export type Staged = "drop" | "500" | "429";

/** Return what the next refresh runs into, once, or nothing. */
export function nextForRefresh(): Staged | undefined {
  if (faults.tooMany > 0) return take("tooMany", "429", "429 Too Many Requests");
  if (faults.serverErrors > 0) return take("serverErrors", "500", "a 500");
  if (faults.dropped > 0) return take("dropped", "drop", "a lost answer");
  return undefined;
}

function take(which: "tooMany" | "serverErrors" | "dropped", staged: Staged, words: string): Staged {
  faults[which] -= 1;
  met.push(words);
  return staged;
}

/** What is set up, in words. */
export function armed(): string[] {
  const times = (count: number): string => (count > 1 ? ` (${count} times)` : "");
  return [
    faults.expired && "the access token is expired",
    faults.dropped && `the next refresh's answer is lost${times(faults.dropped)}`,
    faults.serverErrors && `the next refresh is answered 500${times(faults.serverErrors)}`,
    faults.tooMany && `the next refresh is answered 429, wait ${faults.retryAfter} s`,
    faults.skew && `this page's clock is ${faults.skew > 0 ? "+" : ""}${faults.skew} h wrong`,
  ].filter((one): one is string => Boolean(one));
}
