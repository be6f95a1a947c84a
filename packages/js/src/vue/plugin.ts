import { type App, inject, type InjectionKey, type Plugin } from "vue";

import { account } from "../account.js";
import type { Auth, User } from "../types.js";
import { Following, type Keyturn } from "./keyturn.js";

const KEYTURN: InjectionKey<Keyturn> = Symbol("keyturn");

export interface KeyturnOptions {
  /** How `user` is read after a sign-in or a reload; default: `account(auth).user()`. */
  user?: (auth: Auth) => Promise<User>;
}

/**
 * Plugin for `app.use`. In a browser it asks at once who is signed in; on a server the status stays
 * `loading`. It stops listening when its application is unmounted; `auth` itself lives on for
 * others, until `auth.dispose()`.
 */
export function createKeyturn(auth: Auth, options: KeyturnOptions = {}): Plugin {
  const read = options.user ?? ((one) => account(one).user());
  return {
    install(app: App): void {
      const keyturn = new Following(auth, read);
      app.provide(KEYTURN, keyturn);
      app.onUnmount(() => keyturn.stop());
      if (typeof window !== "undefined") void keyturn.retry();
    },
  };
}

/** Who is signed in, in a component of an application with `createKeyturn`. Throws elsewhere. */
export function useAuth(): Keyturn {
  const keyturn = inject(KEYTURN, undefined);
  if (!keyturn) throw new Error("useAuth: app.use(createKeyturn(auth)) comes first");
  return keyturn;
}
