/** What went wrong, in a sentence for the person. */

import { AuthError } from "@keyturn/client";
import type { AuthErrorCode } from "@keyturn/client";

const SENTENCES: Partial<Record<AuthErrorCode, string>> = {
  network: "The server cannot be reached. Try again.",
  timeout: "The server did not answer in time. Try again.",
  server: "The server has trouble. Try again.",
  too_many_requests: "Too many tries. Wait a moment and try again.",
  invalid_credentials: "The e-mail address or the password is wrong.",
  session_expired: "You were signed out. Sign in again.",
  login_required: "Sign in first.",
  step_up_required: "That was not done: it needs a fresh proof that it is you.",
  storage_blocked: "This browser keeps nothing for this page.",
};

export function inWords(error: unknown): string {
  if (!(error instanceof AuthError)) return `That did not work: ${String(error)}`;
  return SENTENCES[error.code] ?? `That did not work (${error.code}).`;
}
