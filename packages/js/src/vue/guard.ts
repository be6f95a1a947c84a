import type { RouteLocationNormalized, RouteLocationRaw, Router } from "vue-router";

import type { Auth, SignedOutReason } from "../types.js";
import { restoringOf } from "./restoring.js";

export interface RequireAuthOptions {
  /** Which routes need somebody signed in; default: those with `meta: { requiresAuth: true }`. */
  requires?: (to: RouteLocationNormalized) => boolean;
  /**
   * The page with the sign-in form; it gets `?returnTo=` the page that was wanted. Mode `code` may
   * leave it out: there it is shown only to whoever signed out in another tab.
   */
  signIn?: RouteLocationRaw;
  /**
   * Where to go when nobody can say who is signed in, or a callback fails; without it the
   * navigation fails with the `AuthError`, for `router.onError`.
   */
  trouble?: (error: unknown, to: RouteLocationNormalized) => RouteLocationRaw;
}

type Decision = RouteLocationRaw | boolean;

/**
 * Let only people who are signed in reach the routes that need it, deep links and reloads too.
 * Mode `code`: others leave for the issuer's pages, and the path of `redirectUri` brings them back
 * to where they were going. Session API: others go to `signIn`.
 *
 * Whoever is signed out elsewhere while on such a route is asked to sign in, and comes back to it.
 * After a logout in another tab nobody is sent to the issuer, which might sign them in again.
 * Returns what takes the guard away again.
 */
export function requireAuth(
  router: Router,
  auth: Auth,
  options: RequireAuthOptions = {},
): () => void {
  const guard = new Guard(router, auth, options);
  const stops = [
    router.beforeEach((to) => guard.decide(to)),
    auth.on("signedOut", ({ reason }) => {
      // Who asked to leave is shown where to by the application.
      if (reason !== "user") guard.decideAgain(reason);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

class Guard {
  constructor(
    private readonly router: Router,
    private readonly auth: Auth,
    private readonly options: RequireAuthOptions,
  ) {
    if (auth.options.mode !== "code" && options.signIn === undefined) {
      throw new Error("requireAuth: the session API needs `signIn`, the page with the form");
    }
  }

  async decide(to: RouteLocationNormalized): Promise<Decision> {
    try {
      if (this.#isCallback(to)) return await this.#finish(to);
      if (!this.#requires(to) || (await this.#isSignedIn())) return true;
      return await this.#signIn(to);
    } catch (error) {
      if (!this.options.trouble) throw error;
      return this.options.trouble(error, to);
    }
  }

  decideAgain(reason: SignedOutReason): void {
    const here = this.router.currentRoute.value;
    if (!this.#requires(here)) return;
    // The issuer may not have heard of that logout yet: to ask it now would undo the logout.
    if (reason === "other_tab" && this.auth.options.mode === "code") {
      if (this.options.signIn) void this.router.replace(this.#signInPage(here));
      return;
    }
    const { path, query, hash } = here;
    void this.router.replace({ path, query, hash, force: true });
  }

  #requires(to: RouteLocationNormalized): boolean {
    return this.options.requires ? this.options.requires(to) : to.meta["requiresAuth"] === true;
  }

  async #isSignedIn(): Promise<boolean> {
    if (this.auth.state.status === "signedIn") return true;
    const { phase, run } = restoringOf(this.auth);
    // Once it is known, only a sign-in changes it. While a logout is on its way to the issuer, the
    // cookie would still be answered, and everybody signed in again.
    return phase.value !== "known" && (await run());
  }

  #isCallback(to: RouteLocationNormalized): boolean {
    const { mode, redirectUri } = this.auth.options;
    if (mode !== "code" || redirectUri === undefined) return false;
    return this.#url(to).pathname === new URL(redirectUri).pathname;
  }

  async #finish(to: RouteLocationNormalized): Promise<RouteLocationRaw> {
    const { returnTo } = await this.auth.handleCallback(this.#url(to).href);
    return instead(this.router.resolve(this.#withoutBase(returnTo)));
  }

  async #signIn(to: RouteLocationNormalized): Promise<Decision> {
    if (this.auth.options.mode === "code") return (await this.#leave(to)) && instead(to);
    return this.#signInPage(to);
  }

  #signInPage(to: RouteLocationNormalized): RouteLocationRaw {
    const { path, query, hash } = this.router.resolve(this.options.signIn as RouteLocationRaw);
    return { path, query: { ...query, returnTo: to.fullPath }, hash };
  }

  /** Return whether to look again: the page is still there, or there again. */
  async #leave(to: RouteLocationNormalized): Promise<boolean> {
    const { href: returnTo } = this.router.resolve(to.fullPath);
    const decided = new AbortController();
    try {
      const left = this.auth.signIn({ returnTo }).then(() => false);
      const back = await Promise.race([left, broughtBack(decided.signal)]);
      return back || this.auth.state.status === "signedIn";
    } finally {
      decided.abort();
    }
  }

  #url(to: RouteLocationNormalized): URL {
    return new URL(this.router.resolve(to.fullPath).href, this.auth.options.redirectUri);
  }

  #withoutBase(href: string): string {
    const base = this.router.options.history.base;
    return base && href.startsWith(`${base}/`) ? href.slice(base.length) : href;
  }
}

function instead(to: Pick<RouteLocationNormalized, "path" | "query" | "hash">): RouteLocationRaw {
  const { path, query, hash } = to;
  return { path, query, hash, replace: true };
}

/**
 * Resolve when this page is shown again although it was left: the back/forward cache brings it
 * back as it was, with a navigation that still waits for the page to go away.
 */
function broughtBack(signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const look = (event: PageTransitionEvent): void => {
      if (event.persisted) resolve(true);
    };
    window.addEventListener("pageshow", look, { signal });
  });
}
