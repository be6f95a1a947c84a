import type { Door } from "./door.js";
import { AuthError } from "./errors.js";
import { locked } from "./lock.js";
import type { Sent, Session, Tokens } from "./session.js";

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
  /** When the grace is over of the first of the latest calls. */
  let end = 0;
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
    const now = performance.now();
    // Further calls inside one grace do not lengthen it, so that no storm follows.
    const until = now + grace * 1000;
    if (now > end) end = until;
    try {
      await insist(async () => {
        // A tab that was frozen between two tries may have been left behind by the others.
        if (session.unchanged(sent)) session.renew(sent, await door.refresh(sent.tokens));
      }, grace, until);
    } catch (error) {
      const { code, retryable, retryAfter = 0 } = error as AuthError;
      if (code === "session_expired") {
        // The verdict is about what was sent: who has something newer by now keeps it.
        if (!session.unchanged(sent)) return;
        session.end("ended");
      } else if (globalThis.navigator?.onLine !== false) {
        // An answer that may be lost is asked for again by the next call, while that is possible.
        if (!retryable || retryAfter) end = 0;
        failed = { tokens: sent.tokens, until: performance.now() + Math.max(MEMORY, retryAfter) * 1000, error };
      }
      throw error;
    }
  }

  return async (asked) => {
    if (!flight) {
      const now = performance.now();
      if (!asked && failed && failed.tokens === session.read() && now > end && now < failed.until) throw failed.error;
      flight = inTurn().finally(() => (flight = undefined));
    }
    return flight;
  };
}

/**
 * Ask again, with the same token, what got no answer or a passing refusal: the answer may have
 * been lost after the server rotated. Inside the grace it is given once more; later it would look
 * like theft, so every try begins inside it; the third
 * in its second half, so that a network which is gone for the first half costs nothing.
 */
async function insist(ask: () => Promise<void>, grace: number, until: number): Promise<void> {
  for (let tried = 0; ; tried++) {
    try {
      return await ask();
    } catch (error) {
      const { retryable, retryAfter = 0 } = error as AuthError;
      const wait = Math.max(Math.min(grace, 10) * (tried / 2 + Math.random() / 10), retryAfter) * 1000;
      if (!retryable || tried > 1 || performance.now() + wait >= until) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}
