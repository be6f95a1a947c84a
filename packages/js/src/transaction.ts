import { AuthError } from "./errors.js";

/** What a sign-in by redirect has to know when it comes back. */
export interface Transaction {
  verifier: string;
  nonce: string;
  returnTo: string;
}

/** What the issuer adds to the redirect URI (RFC 6749 section 4.1.2, RFC 9207). */
const ADDED = ["code", "state", "iss", "error", "error_description"];

/**
 * Under its `state`, so that two sign-ins can be under way. An answer's `state` is anybody's choice: no
 * name made of it may be that of the tokens, which `storage: "session"` keeps beside it.
 */
const named = (state: string) => `keyturn-state:${state}`;

export function keepTransaction(state: string, transaction: Transaction): void {
  try {
    sessionStorage.setItem(named(state), JSON.stringify(transaction));
  } catch (cause) {
    throw new AuthError("storage_blocked", { cause });
  }
}

/** Return a transaction, once: a code must not be redeemed twice. */
export function forgetTransaction(state: string | null): Transaction {
  const key = named(state!);
  const kept = sessionStorage.getItem(key);
  if (!kept) throw new AuthError("state_mismatch");
  sessionStorage.removeItem(key);
  return JSON.parse(kept);
}

/** Take the answer's parameters out of the address: nobody shall see, share or send them twice. */
export function cleanAddress(): void {
  const url = new URL(location.href);
  for (const name of ADDED) url.searchParams.delete(name);
  history.replaceState(history.state, "", url);
}

/**
 * Return the path to come back to; another origin's is replaced by `/` (an open redirect). One that
 * begins with two slashes would be another host's, where it is followed.
 */
export function sameOrigin(path = "/"): string {
  const { origin, pathname, search, hash } = new URL(path, location.origin);
  return origin === location.origin ? pathname.replace(/^\/+/, "/") + search + hash : "/";
}
