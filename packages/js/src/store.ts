import { AuthError } from "./errors.js";
import type { AuthOptions, StorageAdapter } from "./types.js";

/** One text under one key. */
export interface Store {
  read(): string | null;
  write(value: string | null): void;
}

/**
 * Open the storage that was asked for. One that throws (quota, private mode, blocked cookies) is
 * replaced by memory, once and for good, with what was last seen in it.
 */
export function openStore(key: string, storage: AuthOptions["storage"] = "memory"): Store {
  let last: string | null = null;
  const memory: StorageAdapter = {
    getItem: () => last,
    setItem: (_, value) => (last = value),
    removeItem: () => (last = null),
  };
  let blocked = storage === "memory";

  function use<T>(act: (adapter: StorageAdapter) => T): T {
    if (!blocked) {
      try {
        return act(adapterOf(storage));
      } catch (cause) {
        blocked = true;
        console.warn(new AuthError("storage_blocked", { cause }));
      }
    }
    return act(memory);
  }

  return {
    read: () => (last = use((adapter) => adapter.getItem(key))),
    write(value) {
      use((adapter) => (value === null ? adapter.removeItem(key) : adapter.setItem(key, value)));
      last = value;
    },
  };
}

/** Looked up at each use: reading `window.localStorage` may itself throw. */
function adapterOf(storage: AuthOptions["storage"]): StorageAdapter {
  if (typeof storage === "object") return storage;
  return storage === "local" ? localStorage : sessionStorage;
}
