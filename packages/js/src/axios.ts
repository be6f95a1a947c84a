/** axios 1.12 or newer: requests to the listed APIs go by `auth.fetch`, with all of its rules. */

import type { AxiosInstance } from "axios";

import type { Auth } from "./types.js";

/**
 * Send what this instance asks of the APIs in `apis` as `auth.fetch` does: with an access token,
 * one refresh for however many 401s, one retry, step-up. Other origins are asked as before, and
 * never see a token.
 *
 * Nothing of that is done a second time here: a request goes through axios once, so that other
 * interceptors run once, and the rules are those of the core. Failures arrive as `AxiosError`; if
 * nobody is signed in any more, its `cause` is the `AuthError`. Returns what undoes it.
 */
export function intercept(axios: AxiosInstance, auth: Auth): () => void {
  const apis = new Set(auth.options.apis.map((api) => new URL(api).origin));
  const authorized: typeof fetch = (input, init) => auth.fetch(input, init);
  const id = axios.interceptors.request.use((config) => {
    if (apis.has(originOf(axios.getUri(config)))) {
      config.adapter = "fetch";
      config.env = { ...config.env, fetch: authorized };
    }
    return config;
  });
  return () => axios.interceptors.request.eject(id);
}

function originOf(url: string): string {
  return new URL(url, globalThis.location?.href).origin;
}
