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
  /**
   * Binds tokens to a key (DPoP, RFC 9449); `@keyturn/client/dpop` makes one. Asked before every
   * request to the issuer and to the listed APIs, a repeated one too.
   */
  proof?: Proof;
  /** Base address of `/auth/*`, where the application proxies it on its own origin; default: `issuer`. */
  sessionApi?: string;
  /** For tests and fault injection; is given one `Request`. Default: the global `fetch`. */
  fetch?: typeof fetch;
}

/** What a proof of possession is about (RFC 9449 section 4.2). */
export interface ProofRequest {
  method: string;
  /** As it will be sent; a proof's `htu` leaves query and fragment out. */
  url: string;
  /** The access token that is shown by the same request, for `ath`. */
  accessToken?: string;
  /** The newest `DPoP-Nonce` of the URL's origin, where proofs are kept up to date with it. */
  nonce?: string;
}

/** Resolves to the value of the header `DPoP`: a new one for every request. */
export interface Proof {
  (request: ProofRequest): Promise<string>;
  /** Is shown every answer, for its `DPoP-Nonce`; true: send the request again, once. */
  again?(response: Response, url: string): Promise<boolean>;
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
  /** The session (`sid`); without `openid`, `code` mode has a name of its own for it. */
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
  /**
   * Call the session API as the person who is signed in: `GET` shows the access token, the other
   * methods the session credential (the cookie, or `refreshToken` in the JSON body). Resolves to
   * the answer's JSON; an access token in it is put to use. Rejects with `AuthError`.
   * `@keyturn/client/account` is made of this.
   */
  request<T>(method: "GET" | "POST" | "DELETE", path: `/auth/${string}`, body?: object): Promise<T>;
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
  | "unrepeatable_body"
  | "misconfigured"
  | "refused"
  | "server";
