import { AuthError, refusal } from "./errors.js";
import { parse } from "./json.js";
import type { Proof } from "./types.js";

/** What a request shows of an access token. */
export interface Shown {
  accessToken: string;
  tokenType: string;
}

/** Send one request, with an access token and a proof of possession as the case may be. */
export type Send = (request: Request, shown?: Shown) => Promise<Response>;

/** A fetch of what is complete. */
export type Fetch = (request: Request) => Promise<Response>;

/** Make the one place through which every request with a token leaves. */
export function sender(fetch: Fetch, proof?: Proof): Send {
  async function leave(request: Request, shown?: Shown, isSecond?: boolean): Promise<Response> {
    if (shown) request.headers.set("Authorization", `${shown.tokenType} ${shown.accessToken}`);
    if (!proof) return fetch(request);
    const copy = request.clone();
    const { method, url } = request;
    request.headers.set("DPoP", await proof({ method, url, accessToken: shown?.accessToken }));
    const response = await fetch(request);
    const again = !isSecond && (await proof.again?.(response, url));
    return again ? leave(copy, shown, true) : response;
  }

  return leave;
}

/** Milliseconds for the whole answer of the issuer. */
const PATIENCE = 8000;

/**
 * Call the issuer by POST, without cookies. Resolves to the answer's JSON, rejects with `AuthError`.
 * No redirect is followed: a 307 would carry the token in the body to whoever it names.
 */
export async function call<T>(send: Fetch, url: string, init: RequestInit = {}): Promise<T> {
  const signal = AbortSignal.timeout(PATIENCE);
  try {
    const response = await send(new Request(url, { method: "POST", credentials: "omit", redirect: "error", ...init, signal }));
    // No content, or a page of something in between: its status says the rest.
    const answer = parse<{ error?: string }>(await response.text());
    if (response.ok) return answer as T;
    throw refusal(answer?.error, response.status, Number(response.headers.get("Retry-After")) || undefined);
  } catch (cause) {
    if (cause instanceof AuthError) throw cause;
    throw new AuthError(signal.aborted ? "timeout" : "network", { cause });
  }
}
