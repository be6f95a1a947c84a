/** `@keyturn/client`: keeps people signed in from a browser. Start at `createAuth`. */

export { createAuth } from "./auth.js";
export { AuthError } from "./errors.js";
export type * from "./types.js";
