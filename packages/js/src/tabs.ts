import type { Tokens } from "./session.js";

/** What tabs tell each other: newer tokens, or which session is over and whether a person said so. */
export type Message = { tokens: Tokens } | { over: string; byUser: boolean };

/** The other tabs of the same application. */
export interface Tabs {
  tell(message: Message): void;
  close(): void;
}

/**
 * Listen to other tabs. Not on a server, where one process serves many people: they must never
 * hear each other's tokens.
 */
export function openTabs(key: string, hear: (message: Message) => void): Tabs {
  if (!globalThis.document) return { tell() {}, close() {} };
  return globalThis.BroadcastChannel ? byChannel(key, hear) : byStorage(`${key}:over`, hear);
}

function byChannel(key: string, hear: (message: Message) => void): Tabs {
  const channel = new BroadcastChannel(key);
  channel.onmessage = ({ data }) => hear(data);
  return { tell: (message) => channel.postMessage(message), close: () => channel.close() };
}

/** Without channels only the end of a session is told: tokens do not belong into this storage. */
function byStorage(key: string, hear: (message: Message) => void): Tabs {
  const listener = (event: StorageEvent) => {
    if (event.key === key && event.newValue) hear(JSON.parse(event.newValue));
  };
  addEventListener("storage", listener);
  return {
    tell(message) {
      try {
        if ("over" in message) localStorage.setItem(key, JSON.stringify(message));
      } catch {
        // Blocked storage: the other tabs learn it from the server, at their next refresh.
      }
    },
    close: () => removeEventListener("storage", listener),
  };
}
