import { pageTime, secondsLeft } from "./expiry.js";
import type { Events } from "./events.js";
import { parse } from "./json.js";
import { openStore } from "./store.js";
import { type Message, openTabs } from "./tabs.js";
import type { AuthOptions, AuthState, SignedOutReason } from "./types.js";

const SIGNED_OUT: AuthState = Object.freeze({ status: "signedOut" });

/** Everything that is kept of a sign-in. */
export interface Tokens {
  sessionId: string;
  accessToken: string;
  /** `Bearer`, or `DPoP` for a token that is bound to a key. */
  tokenType: string;
  /** Seconds. */
  expiresIn: number;
  /** When they came, in milliseconds of the wall clock. */
  at: number;
  /** How many refresh tokens came before this one: it orders the copies that tabs hold. */
  turn: number;
  refreshToken?: string;
  idToken?: string;
}

/** The session as a request saw it when it left. */
export interface Sent {
  tokens: Tokens | undefined;
  epoch: number;
}

/** Who is signed in, in this tab; knows no network. */
export interface Session {
  readonly state: AuthState;
  /** The tokens, after a look at what other tabs have stored meanwhile. */
  read(): Tokens | undefined;
  sent(): Sent;
  /** Whether nobody signed in, signed out or renewed since. */
  unchanged(sent: Sent): boolean;
  begin(tokens: Tokens): void;
  /** Store the answer to what was sent, unless it comes too late. */
  renew(sent: Sent, answer: Tokens): void;
  end(reason: SignedOutReason): void;
  secondsLeft(): number;
  close(): void;
}

/**
 * Open the session of this tab under a key that it shares with others. `abandon` is called with a
 * sign-in of this tab alone that another tab's logout took along.
 */
export function openSession(
  { mode, storage }: AuthOptions,
  key: string,
  events: Events,
  abandon: (tokens: Tokens) => void,
): Session {
  const store = openStore(key, storage);
  /** Whether tabs have one store: then who commits writes, and who hears of it does not. */
  const oneStore = storage === "local";
  /** Whether they have one sign-in rather than one each. */
  const shared = oneStore || mode === "cookie";
  let tokens: Tokens | undefined;
  let came = 0;
  let seen: string | null = null;
  let epoch = 0;
  /** The session that ended last. What is still on its way about it comes too late. */
  let over: string | undefined;
  let state = SIGNED_OUT;

  function write(): void {
    seen = tokens ? JSON.stringify(tokens) : null;
    store.write(seen);
  }

  /** Take tokens, our own or another tab's; older ones of the same sign-in never. */
  function take(next: Tokens): void {
    const { sessionId, at, expiresIn } = next;
    if (sessionId === over) return;
    const before = tokens?.sessionId === sessionId ? tokens : undefined;
    if (before && (before.turn > next.turn || before.accessToken === next.accessToken)) return;
    if (!before) epoch++;
    tokens = next;
    came = pageTime(next);
    state = Object.freeze({ status: "signedIn", sessionId, expiresAt: at + expiresIn * 1000 });
    events.emit(before ? "refreshed" : "signedIn", { state });
  }

  function drop(reason: SignedOutReason): void {
    // Also without tokens: a question whether there are any may be under way.
    epoch++;
    if (!tokens) return;
    tokens = undefined;
    state = SIGNED_OUT;
    events.emit("signedOut", { reason });
  }

  function read(): Tokens | undefined {
    const text = store.read();
    if (text !== seen) {
      seen = text;
      // What is not ours is the same as nothing (and `null` is JSON).
      const stored = parse<Tokens>(text!);
      if (stored) take(stored);
      else drop("other_tab");
    }
    return tokens;
  }

  function hear(message: Message): void {
    const mine = read()?.sessionId;
    if ("tokens" in message) {
      if (shared || message.tokens.sessionId === mine) take(message.tokens);
    } else {
      over = message.over;
      if (mine && over !== mine) {
        if (shared || !message.byUser) return;
        abandon(tokens!);
      }
      drop("other_tab");
    }
    if (!oneStore) write();
  }

  const tabs = openTabs(key, hear);

  function keep(next: Tokens): void {
    take(next);
    write();
    tabs.tell({ tokens: next });
  }

  function unchanged(sent: Sent): boolean {
    return read()?.refreshToken === sent.tokens?.refreshToken && epoch === sent.epoch;
  }

  return {
    get state() {
      return state;
    },
    read,
    sent: () => ({ tokens: read(), epoch }),
    unchanged,
    begin: keep,
    renew(sent, answer) {
      if (unchanged(sent)) keep(answer);
    },
    end(reason) {
      over = read()?.sessionId;
      drop(reason);
      write();
      if (over) tabs.tell({ over, byUser: reason === "user" });
    },
    secondsLeft: () => (tokens ? secondsLeft(tokens, came) : 0),
    close: tabs.close,
  };
}
