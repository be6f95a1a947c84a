import { computed, type ComputedRef, type ShallowRef, shallowRef } from "vue";

import type { Auth, AuthState, Credentials, LogoutOptions, Status, User } from "../types.js";
import { restoringOf } from "./restoring.js";

/** `loading` until it is known who is signed in; `unavailable` while the server cannot say. */
export type KeyturnStatus = Status | "loading" | "unavailable";

/** What `useAuth` gives: who is signed in, as reactive state. */
export interface Keyturn {
  readonly auth: Auth;
  readonly status: ComputedRef<KeyturnStatus>;
  readonly state: Readonly<ShallowRef<AuthState>>;
  /** Undefined while nobody is signed in, and until their name has been read. */
  readonly user: Readonly<ShallowRef<User | undefined>>;
  /** Why `status` is `unavailable`, or why `user` could not be read. */
  readonly error: ComputedRef<unknown>;
  /** Session API: sign in with a password. Rejects with `AuthError`. */
  login(credentials: Credentials): Promise<User>;
  logout(options?: LogoutOptions): Promise<void>;
  /** Ask again who is signed in, or for the name. Does not reject: see `error`. */
  retry(): Promise<void>;
}

export type ReadUser = (auth: Auth) => Promise<User>;

/**
 * Follows one `auth` until `stop`. Events come after the fact, so each is only a reason to look at
 * what is so now.
 */
export class Following implements Keyturn {
  readonly state: ShallowRef<AuthState>;
  readonly user = shallowRef<User>();
  readonly status: ComputedRef<KeyturnStatus>;
  readonly error: ComputedRef<unknown>;
  readonly #unread = shallowRef<unknown>();
  readonly #stops: (() => void)[];
  /** The session whose person is known or asked for; null: nobody's. */
  #session: string | undefined | null = null;
  #stopped = false;

  constructor(
    readonly auth: Auth,
    private readonly read: ReadUser,
  ) {
    const { phase, error } = restoringOf(auth);
    this.state = shallowRef(auth.state);
    this.status = computed(() => {
      const { status } = this.state.value;
      return status === "signedIn" || phase.value === "known" ? status : phase.value;
    });
    this.error = computed(() => error.value ?? this.#unread.value);
    const changed = () => this.#changed();
    this.#stops = [
      auth.on("signedIn", changed),
      auth.on("refreshed", changed),
      auth.on("signedOut", changed),
    ];
  }

  // Functions of their own, since components take them apart: const { login } = useAuth().
  readonly login = async (credentials: Credentials): Promise<User> => {
    const user = await this.auth.login(credentials);
    this.#session = this.auth.state.sessionId;
    this.user.value = user;
    this.#changed();
    return user;
  };

  readonly logout = async (options?: LogoutOptions): Promise<void> => {
    try {
      await this.auth.logout(options);
    } finally {
      this.#changed();
    }
  };

  readonly retry = async (): Promise<void> => {
    // Whoever is interested sees `error`.
    await restoringOf(this.auth).run().catch(() => undefined);
    if (this.#unread.value !== undefined) this.#session = null;
    this.#look();
  };

  stop(): void {
    this.#stopped = true;
    for (const stop of this.#stops) stop();
  }

  #changed(): void {
    restoringOf(this.auth).phase.value = "known";
    this.#look();
  }

  #look(): void {
    if (this.#stopped) return;
    const state = (this.state.value = this.auth.state);
    if (state.status === "signedOut") {
      this.#session = null;
      this.user.value = this.#unread.value = undefined;
    } else if (state.sessionId !== this.#session) {
      // Once for each session: reading may itself refresh, and that must not begin another one.
      this.#session = state.sessionId;
      this.user.value = this.#unread.value = undefined;
      void this.#readUser(state.sessionId);
    }
  }

  async #readUser(session: string | undefined): Promise<void> {
    const user = await this.read(this.auth).catch((reason: unknown) => {
      if (this.#session === session) this.#unread.value = reason;
      return undefined;
    });
    // Somebody else may have signed in since, or nobody is signed in any more.
    if (user && this.#session === session) this.user.value = user;
  }
}
