import type { AuthEvents } from "./types.js";

export interface Events {
  on<K extends keyof AuthEvents>(event: K, listener: (detail: AuthEvents[K]) => void): () => void;
  emit<K extends keyof AuthEvents>(event: K, detail: AuthEvents[K]): void;
}

/**
 * Each listener has a task of its own, after the one that commits: no lock is held by then, and
 * what a listener throws is reported and hinders nobody.
 */
export function events(): Events {
  const hearers = new Set<(event: string, detail: never) => void>();
  return {
    on(event, listener) {
      const hear = (what: string, detail: never) => what === event && setTimeout(listener, 0, detail);
      hearers.add(hear);
      return () => void hearers.delete(hear);
    },
    emit(event, detail) {
      for (const hear of hearers) hear(event, detail as never);
    },
  };
}
