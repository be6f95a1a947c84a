import { AuthError } from "./errors.js";
import type { Tokens } from "./session.js";

/** How a mode talks to the issuer about a sign-in. */
export interface Door {
  /** Ask for new tokens once. */
  refresh(tokens: Tokens | undefined): Promise<Tokens>;
  /** Give a sign-in up; `everywhere` (session API only): all of the person. */
  revoke(tokens: Tokens | undefined, everywhere?: boolean): Promise<void>;
}

/** An answer with tokens, by the names of the session API; what it leaves out goes on. */
export type Answer = Omit<Tokens, "at" | "turn">;

/** Make tokens of an answer to what was sent `before`. */
export function tokensFrom(answer: Answer | undefined, before?: Tokens): Tokens {
  // A 200 of something in between (a hotel's sign-in page) is no answer.
  if (!answer?.accessToken || !(answer.expiresIn > 0)) throw new AuthError("server");
  const same = before?.sessionId === answer.sessionId ? before : undefined;
  const next = { turn: 0, ...same, ...answer, at: Date.now() };
  if (same && next.refreshToken !== same.refreshToken) next.turn++;
  return next;
}
