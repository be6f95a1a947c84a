/** What people do with their account: the session API beyond signing in and out. */

import type { Auth, User } from "./types.js";

/** One line of "where am I signed in". Times are ISO 8601. */
export interface Session {
  id: string;
  /** The application's name. */
  clientName: string;
  /** From the `User-Agent` of the sign-in. */
  device: string | null;
  ip: string | null;
  createdAt: string;
  lastUsedAt: string;
  /** Whether it is the session of this page. */
  current: boolean;
}

/** Every call rejects with `AuthError`; nothing here is ever repeated by a timer. */
export interface Account {
  /** Who is signed in. */
  user(): Promise<User>;
  /** Where the person is signed in, the latest first. */
  sessions(): Promise<Session[]>;
  /** End one of them; the one of this page is a logout. */
  endSession(id: string): Promise<void>;
  /** Prove who is there once more; tokens then say so for 5 minutes (RFC 9470). */
  reauthenticate(password: string): Promise<void>;
  /**
   * 8 to 128 characters, no later than 5 minutes after a proof (`step_up_required` otherwise: ask
   * for the old password, `reauthenticate`, try again). The other sessions end, this one stays.
   */
  changePassword(newPassword: string): Promise<void>;
  /** End every session of the person, or every other one. */
  logoutEverywhere(options?: { exceptCurrent?: boolean }): Promise<void>;
}

/** The account of who is signed in with `auth`; its client needs `session_api: true`. */
export function account(auth: Auth): Account {
  return {
    user: () => auth.request<User>("GET", "/auth/me"),
    async sessions() {
      return (await auth.request<{ sessions: Session[] }>("GET", "/auth/sessions")).sessions;
    },
    async endSession(id) {
      if (id === auth.state.sessionId) return auth.logout();
      await auth.request("DELETE", `/auth/sessions/${encodeURIComponent(id)}`);
    },
    async reauthenticate(password) {
      await auth.request("POST", "/auth/reauthenticate", { password });
    },
    async changePassword(newPassword) {
      await auth.request("POST", "/auth/password", { newPassword });
    },
    async logoutEverywhere({ exceptCurrent = false } = {}) {
      if (!exceptCurrent) return auth.logout({ everywhere: true });
      await auth.request("POST", "/auth/logout-all", { exceptCurrent });
    },
  };
}
