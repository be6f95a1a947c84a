/** Return 256 bits nobody can guess, as text. */
export function secret(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** Return the S256 challenge of a verifier (RFC 7636 section 4.2). */
export async function challengeOf(verifier: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/** What is read of an ID token; all of it ASCII, so that names in other alphabets need no care. */
export interface IdClaims {
  iss: string;
  aud: string | string[];
  nonce?: string;
  sid?: string;
}

/**
 * Return the claims of an ID token. It came from the token endpoint by TLS, which stands for its
 * signature (OpenID Connect Core section 3.1.3.7, point 6).
 */
export function claimsOf(idToken: string): IdClaims {
  return JSON.parse(atob(idToken.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/")));
}
