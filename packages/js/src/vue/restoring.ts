import { type ShallowRef, shallowRef } from "vue";

import type { Auth } from "../types.js";

/** `unavailable`: the server could not say. Somebody may well be signed in. */
export type Phase = "loading" | "known" | "unavailable";

/** Finding out whether somebody is signed in: once at a time, for plugin and router alike. */
export interface Restoring {
  readonly phase: ShallowRef<Phase>;
  readonly error: ShallowRef<unknown>;
  run(): Promise<boolean>;
}

const all = new WeakMap<Auth, Restoring>();

/** Return the one of this `auth`: whoever learns the answer first tells the others. */
export function restoringOf(auth: Auth): Restoring {
  const found = all.get(auth) ?? begin(auth);
  all.set(auth, found);
  return found;
}

function begin(auth: Auth): Restoring {
  const phase = shallowRef<Phase>("loading");
  const error = shallowRef<unknown>();
  let running: Promise<boolean> | undefined;

  async function ask(): Promise<boolean> {
    try {
      const signedIn = await auth.restore();
      phase.value = "known";
      error.value = undefined;
      return signedIn;
    } catch (reason) {
      phase.value = "unavailable";
      error.value = reason;
      throw reason;
    } finally {
      running = undefined;
    }
  }

  return { phase, error, run: () => (running ??= ask()) };
}
