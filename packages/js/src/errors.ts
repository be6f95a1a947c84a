import type { AuthErrorCode } from "./types.js";

/** What an `error` of the server means here; others go by their status. */
const CODES: Record<string, AuthErrorCode | undefined> = {
  invalid_grant: "session_expired",
  invalid_credentials: "invalid_credentials",
  login_required: "login_required",
  consent_required: "consent_required",
  access_denied: "consent_required",
  insufficient_user_authentication: "step_up_required",
  unmet_authentication_requirements: "step_up_required",
  temporarily_unavailable: "server",
  server_error: "server",
};

const RETRYABLE: readonly string[] = ["network", "timeout", "too_many_requests", "server"];

/** What is known beside the code. */
export interface AuthErrorDetails {
  status?: number;
  error?: string;
  retryAfter?: number;
  cause?: unknown;
}

/** Every way this client says no. The message is made of `code` and `error`; it never holds a token. */
export class AuthError extends Error {
  declare readonly code: AuthErrorCode;
  /** Whether the same call may succeed later, with nothing changed. */
  declare readonly retryable: boolean;
  /** Of the answer, if there was one. */
  declare readonly status?: number;
  /** `error` of the answer (RFC 6749 section 5.2, the session API's codes). */
  declare readonly error?: string;
  /** Seconds, from `Retry-After`. */
  declare readonly retryAfter?: number;

  constructor(code: AuthErrorCode, details: AuthErrorDetails = {}) {
    super(details.error ? `${code} (${details.error})` : code);
    Object.assign(this, { name: "AuthError", code, retryable: RETRYABLE.includes(code) }, details);
  }
}

/** Make the error of a refusal: an answer, or the parameters of a callback (then without status). */
export function refusal(given: string | null | undefined, status?: number, retryAfter?: number): AuthError {
  // Whatever is not of the alphabet of codes is not repeated in a message.
  const error = /^\w{1,60}$/.exec(given ?? "")?.[0];
  return new AuthError(CODES[error ?? ""] ?? byStatus(status), { status, error, retryAfter });
}

function byStatus(status = 400): AuthErrorCode {
  if (status === 429) return "too_many_requests";
  return status >= 500 || status === 408 || status === 425 ? "server" : "refused";
}
