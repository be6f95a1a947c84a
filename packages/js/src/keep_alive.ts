import type { Events } from "./events.js";

/** The longest delay of a timer: a longer one would fire at once. */
const LONGEST = 2 ** 31 - 1;
/** Milliseconds in which only the first of several reasons to wake counts. */
const QUIET = 5000;
/**
 * Milliseconds before the next look after a refresh that failed: inside the grace, while a lost answer
 * can still be had. How often the issuer is really asked is the refresh's own care.
 */
const LATER = 2000;

/**
 * Renew before expiry, without being asked. `due`: milliseconds until then, at least 0; undefined
 * while nobody is signed in. Returns how to stop.
 */
export function keepAlive(events: Events, due: () => number | undefined, renew: () => Promise<unknown>): () => void {
  const stop = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let woken = -QUIET;

  function schedule(delay = due()): void {
    clearTimeout(timer);
    if (delay === undefined) return;
    // Spread over tabs, so that the first one's token reaches the others in time.
    timer = setTimeout(run, Math.min(delay + Math.random() * 500, LONGEST));
  }

  async function run(): Promise<void> {
    // What went wrong is also what the application's next call gets.
    await renew().catch(() => {});
    schedule(due() === 0 ? LATER : due());
  }

  function wake(): void {
    if (performance.now() - woken < QUIET || due() === undefined) return;
    woken = performance.now();
    schedule(0);
  }

  for (const event of ["visibilitychange", "online", "pageshow"]) {
    addEventListener(event, wake, { signal: stop.signal });
  }
  events.on("signedIn", () => schedule());
  events.on("refreshed", () => schedule());
  return () => {
    stop.abort();
    clearTimeout(timer);
  };
}
