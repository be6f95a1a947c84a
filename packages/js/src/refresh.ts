import type { Door } from "./door.js";
import { AuthError } from "./errors.js";
import { locked } from "./lock.js";
import type { Sent, Session, Tokens } from "./session.js";

/** Parts of the grace (of 10 s at most) in which the second and the third try begin. */
const WAITS = [0.1, 0.6];
/** Milliseconds for one try. */
const PATIENCE = 8000;
/** Seconds in which a token that failed is not tried again unasked. */
const MEMORY = 30;

/**
 * Refresh, with whoever is at it already in this tab. A token that has just failed is refused with
 * the same error, unless `asked` by the application.
 */
export type Refresh = (asked?: boolean) => Promise<void>;

/** `lock`: its name; `grace`: seconds in which the server answers the same refresh token again. */
export function refresher(session: Session, door: Door, lock: string, grace = 10): Refresh {
  let flight: Promise<void> | undefined;
  let failed: { tokens: Tokens | undefined; until: number; error: unknown } | undefined;

  async function inTurn(): Promise<void> {
    const before = session.read();
    await locked(lock, async () => {
      const sent = session.sent();
      // Else another tab was faster while this one waited.
      if (sent.tokens === before) await exchange(sent);
    });
  }

  async function exchange(sent: Sent): Promise<void> {
    const { tokens } = sent;
    try {
      session.renew(sent, await insist((patience) => door.refresh(tokens, patience), grace));
    } catch (error) {
      const { code, retryAfter = 0 } = error as AuthError;
      if (code === "session_expired") {
        // The verdict is about what was sent: who has something newer by now keeps it.
        if (!session.unchanged(sent)) return;
        session.end("ended");
      } else if (globalThis.navigator?.onLine !== false) {
        failed = { tokens, until: performance.now() + Math.max(MEMORY, retryAfter) * 1000, error };
      }
      throw error;
    }
  }

  return async (asked) => {
    if (!flight) {
      const tokens = session.read();
      if (!asked && failed && failed.tokens === tokens && failed.until > performance.now()) throw failed.error;
      flight = inTurn().finally(() => (flight = undefined));
    }
    return flight;
  };
}

/**
 * Ask again, with the same token, what got no answer or a passing refusal: the answer may have
 * been lost after the server rotated. Inside the grace it is given once more; later it would look
 * like theft, so all tries together stay below it.
 */
async function insist<T>(ask: (patience: number) => Promise<T>, grace: number): Promise<T> {
  const end = performance.now() + grace * 1000;
  for (let tried = 0; ; tried++) {
    const left = end - performance.now();
    try {
      return await ask(Math.min(PATIENCE, tried || left > 0 ? left : PATIENCE));
    } catch (error) {
      const { retryable, retryAfter = 0 } = error as AuthError;
      const wait = Math.max(Math.random() * Math.min(grace, 10) * WAITS[tried]!, retryAfter) * 1000;
      // After the last try `wait` is no number, and smaller than nothing.
      if (!retryable || !(performance.now() + wait < end)) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}
