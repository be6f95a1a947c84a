/** What may be shown of a token: its last letters, and what it says. Never all of it. */

const SHOWN = 6;

export function tail(token: string): string {
  return `…${token.slice(-SHOWN)}`;
}

/** The same token with another signature: every API refuses it as it refuses an expired one. */
export function spoiled(token: string): string {
  const last = token.slice(-SHOWN);
  return token.slice(0, -SHOWN) + (last === "AAAAAA" ? "BBBBBB" : "AAAAAA");
}

export interface Claims {
  sub: string;
  sid?: string;
  acr?: string;
  auth_time?: number;
  exp: number;
  scope?: string;
}

/** The claims of an access token, to be shown; nothing is decided by them. */
export function claimsOf(token: string): Claims {
  const part = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
  const bytes = Uint8Array.from(atob(part), (one) => one.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes)) as Claims;
}
