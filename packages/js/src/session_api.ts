import { type Answer, type Door, tokensFrom } from "./door.js";
import { AuthError } from "./errors.js";
import { type Fetch, type Send, call } from "./request.js";
import type { Tokens } from "./session.js";
import type { AuthOptions, Credentials, User } from "./types.js";

/** The session API (`/auth/...`); the refresh token travels in a cookie or in the body. */
export interface SessionApi extends Door {
  login(credentials: Credentials): Promise<{ tokens: Tokens; user: User }>;
  /** Send JSON, with the session credential of `tokens`. */
  post<T>(path: string, json: object, tokens?: Tokens, init?: RequestInit): Promise<T>;
  /** Read, by a fetch that shows an access token. */
  get<T>(path: string, by: Fetch): Promise<T>;
}

export function sessionApi(options: AuthOptions, send: Send): SessionApi {
  const { clientId, scope, mode, sessionApi: base = options.issuer } = options;
  const byCookie = mode === "cookie";
  const named = { "X-Keyturn-Client": clientId };

  function post<T>(path: string, json: object, tokens?: Tokens, init?: RequestInit): Promise<T> {
    return call(send, base + path, {
      body: JSON.stringify({ refreshToken: tokens?.refreshToken, ...json }),
      credentials: byCookie ? "include" : "omit",
      headers: { ...named, "Content-Type": "application/json" },
      ...init,
    });
  }

  return {
    post,
    get: (path, by) => call(by, base + path, { method: "GET", headers: named }),
    async login(credentials) {
      const transport = byCookie ? "cookie" : "body";
      const { user, ...answer } = await post<Answer & { user: User }>("/auth/login", { ...credentials, scope, transport });
      return { tokens: tokensFrom(answer), user };
    },
    async refresh(tokens) {
      if (!byCookie && !tokens?.refreshToken) throw new AuthError("session_expired");
      return tokensFrom(await post<Answer>("/auth/refresh", {}, tokens), tokens);
    },
    revoke: (tokens, everywhere) =>
      post(everywhere ? "/auth/logout-all" : "/auth/logout", {}, tokens, { keepalive: true }),
  };
}
