/** What an application sees of `@keyturn/client`. The docs describe exactly these names. */

/**
 * How the refresh token is kept.
 * - `cookie`: session API; the refresh token is an HttpOnly cookie that no script can read.
 * - `body`: session API; the refresh token is in the page, where XSS can export it.
 * - `code`: authorization code with PKCE by redirect; the refresh token is in the page, too.
 */
export type Mode = "cookie" | "body" | "code";

/** Where tokens are kept between loads of a page; an adapter stores strings by key. */
export interface StorageAdapter {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface AuthOptions {
  /** The issuer exactly as in discovery, e.g. `https://id.example.com`. */
  issuer: string;
  clientId: string;
  /** Default: `cookie`. */
  mode?: Mode;
  /** Origins that are sent the access token; no other origin ever is. */
  apis: string[];
  /** `code` only: where the issuer sends people back to. */
  redirectUri?: string;
  /** Scopes to ask for, separated by spaces. */
  scope?: string;
  /** Resource (RFC 8707) to ask for; default: the client's default audience. */
  resource?: string;
  /** Default: `memory`. In `cookie` mode no refresh token is ever stored, whatever is said here. */
  storage?: "memory" | "session" | "local" | StorageAdapter;
  /** Seconds in which the server answers the same refresh token again; default 10. */
  grace?: number;
  /** Refresh in the background before expiry; default false: nothing happens without a call. */
  keepAlive?: boolean;
  /** Called when an API asks for a fresh proof of the person (RFC 9470); then the request is sent again. */
  onStepUp?: (challenge: StepUpChallenge) => Promise<void>;
  /** For tests and fault injection; default: the global `fetch`. */
  fetch?: typeof fetch;
}

export interface StepUpChallenge {
  acrValues?: string;
  maxAge?: number;
}

export interface User {
  id: string;
  email?: string;
  name?: string;
}

export type Status = "signedOut" | "signedIn";

/** A frozen snapshot; a new one for every change. */
export interface AuthState {
  readonly status: Status;
  /** The session, where the server names it (`sid`). */
  readonly sessionId?: string;
  /** Milliseconds of this machine's clock, for display only. */
  readonly expiresAt?: number;
}

/** Why somebody is signed out: they asked, another tab did, or the server said `invalid_grant`. */
export type SignedOutReason = "user" | "other_tab" | "ended";

export interface AuthEvents {
  signedIn: { state: AuthState };
  /** New tokens for the same sign-in, from this tab's refresh or adopted from another tab's. */
  refreshed: { state: AuthState };
  signedOut: { reason: SignedOutReason };
}

export interface Credentials {
  email: string;
  password: string;
  rememberMe?: boolean;
}

export interface SignInOptions {
  /** Same-origin path to come back to after the callback. */
  returnTo?: string;
  acrValues?: string;
  maxAge?: number;
  prompt?: "none" | "login" | "consent";
  loginHint?: string;
}

export interface LogoutOptions {
  /** End every session of the person, not just this one. */
  everywhere?: boolean;
  /** `code` only: where to go after the issuer's logout page. */
  returnTo?: string;
}

export interface Auth {
  readonly options: Readonly<AuthOptions>;
  readonly state: AuthState;
  /** Session API: sign in with a password. Rejects with `AuthError`. */
  login(credentials: Credentials): Promise<User>;
  /** `code`: leave for the issuer's pages; does not return. */
  signIn(options?: SignInOptions): Promise<void>;
  /** `code`: finish at `redirectUri`; resolves to where to go, and cleans the address. */
  handleCallback(url?: string): Promise<{ returnTo: string }>;
  /** Find out on load whether somebody is signed in; an outage rejects and signs nobody out. */
  restore(): Promise<boolean>;
  /** `fetch` with an access token for the listed APIs: refreshed once, retried once. */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** A token that is good for some time yet; refreshes if need be. */
  token(): Promise<string>;
  /** Refresh now, together with whoever else is refreshing. */
  refresh(): Promise<void>;
  logout(options?: LogoutOptions): Promise<void>;
  on<K extends keyof AuthEvents>(event: K, listener: (detail: AuthEvents[K]) => void): () => void;
  /** Let go of listeners, channels and timers; a second instance may live on. */
  dispose(): void;
}

export type AuthErrorCode =
  | "network"
  | "timeout"
  | "session_expired"
  | "login_required"
  | "invalid_credentials"
  | "consent_required"
  | "step_up_required"
  | "state_mismatch"
  | "issuer_mismatch"
  | "storage_blocked"
  | "too_many_requests"
  | "misconfigured"
  | "server";
