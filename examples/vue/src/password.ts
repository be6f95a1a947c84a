/** The question for the password in the middle of a request: whoever asks waits for the answer. */

import { AuthError } from "@keyturn/client";
import { shallowRef } from "vue";

interface Question {
  answered(): void;
  declined(): void;
}

/** The open question, for the dialog to show. */
export const question = shallowRef<Question>();

/** Resolve once the person has proved themselves; reject when they would not. */
export function askPassword(): Promise<void> {
  return new Promise((resolve, reject) => {
    question.value = {
      answered: () => close(resolve),
      declined: () => close(() => reject(new AuthError("step_up_required"))),
    };
  });
}

function close(then: () => void): void {
  question.value = undefined;
  then();
}
