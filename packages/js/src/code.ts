import { type Door, tokensFrom } from "./door.js";
import { AuthError, refusal } from "./errors.js";
import { challengeOf, claimsOf, secret } from "./pkce.js";
import { type Send, call } from "./request.js";
import type { Tokens } from "./session.js";
import { forgetTransaction, keepTransaction, sameOrigin } from "./transaction.js";
import type { AuthOptions, SignInOptions } from "./types.js";

/** The answer of `/oauth2/token` (RFC 6749 section 5.1). */
interface TokenAnswer {
  access_token: string;
  token_type: string;
  expires_in: number;
  refresh_token?: string;
  id_token?: string;
}

/** Authorization code with PKCE, by redirect. */
export interface CodeDoor extends Door {
  signIn(options?: SignInOptions): Promise<never>;
  /** Redeem what the issuer sent back. */
  callback(url: string): Promise<{ tokens: Tokens; returnTo: string }>;
  /** Leave for the issuer's logout page. */
  leave(tokens: Tokens | undefined, returnTo: string | undefined): void;
}

export function codeDoor(options: AuthOptions, send: Send): CodeDoor {
  const { issuer, clientId: client_id, redirectUri: redirect_uri, scope, resource } = options;

  function post<T>(path: string, form: Record<string, string>, init?: RequestInit): Promise<T> {
    return call(send, issuer + path, { body: new URLSearchParams({ client_id, ...form }), ...init });
  }

  function go(path: string, parameters: object): void {
    // JSON leaves out what is undefined.
    const given = new URLSearchParams(JSON.parse(JSON.stringify({ client_id, ...parameters })));
    location.assign(`${issuer}/oauth2/${path}?${given}`);
  }

  async function ask(form: Record<string, string>, before?: Tokens, nonce?: string): Promise<Tokens> {
    const answer = await post<TokenAnswer | undefined>("/oauth2/token", form);
    if (!answer) throw new AuthError("server");
    const idToken = answer.id_token ?? before?.idToken;
    const named = {
      accessToken: answer.access_token,
      tokenType: answer.token_type,
      expiresIn: answer.expires_in,
      refreshToken: answer.refresh_token ?? before?.refreshToken,
    };
    const sessionId = (idToken && sessionOf(idToken, nonce)) || before?.sessionId || secret();
    return tokensFrom({ ...named, sessionId, idToken }, before);
  }

  /** Check whose ID token it is, and for which sign-in; return its `sid`. */
  function sessionOf(idToken: string, nonce?: string): string | undefined {
    const claims = claimsOf(idToken);
    if (claims.iss !== issuer || ![claims.aud].flat().includes(client_id)) throw new AuthError("issuer_mismatch");
    if (nonce && claims.nonce !== nonce) throw new AuthError("state_mismatch");
    return claims.sid;
  }

  return {
    async signIn({ returnTo, acrValues: acr_values, maxAge: max_age, prompt, loginHint: login_hint } = {}) {
      // Browsers have `crypto.subtle` on https and on localhost only.
      if (!redirect_uri || !crypto.subtle) throw new AuthError("misconfigured");
      const [state, nonce, verifier] = [secret(), secret(), secret()];
      keepTransaction(state, { verifier, nonce, returnTo: sameOrigin(returnTo) });
      const code_challenge = await challengeOf(verifier);
      go("authorize", {
        ...{ response_type: "code", redirect_uri, scope, resource, state, nonce, prompt },
        ...{ code_challenge, code_challenge_method: "S256", acr_values, max_age, login_hint },
      });
      return new Promise(() => {}); // The page is on its way out.
    },
    async callback(url) {
      const sent = new URL(url).searchParams;
      const { verifier, nonce, returnTo } = forgetTransaction(sent.get("state"));
      // RFC 9207: an answer of another issuer must not be taken to this one.
      if (sent.get("iss") !== issuer) throw new AuthError("issuer_mismatch");
      const code = sent.get("code");
      if (!code) throw refusal(sent.get("error"));
      const form = { grant_type: "authorization_code", code, redirect_uri: redirect_uri!, code_verifier: verifier };
      return { tokens: await ask(form, undefined, nonce), returnTo };
    },
    async refresh(tokens) {
      const refresh_token = tokens?.refreshToken;
      if (!refresh_token) throw new AuthError("session_expired");
      return ask({ grant_type: "refresh_token", refresh_token }, tokens);
    },
    async revoke(tokens) {
      if (!tokens) return;
      await post("/oauth2/revoke", { token: tokens.refreshToken ?? tokens.accessToken }, { keepalive: true });
    },
    leave: (tokens, returnTo) => go("logout", { id_token_hint: tokens?.idToken, post_logout_redirect_uri: returnTo }),
  };
}
