/**
 * Vue 3: `createKeyturn` for the application, `useAuth` for its components, `requireAuth` for its
 * router. Needs Vue 3.5; vue-router 4 or newer only where `requireAuth` is used.
 */

export { createKeyturn, useAuth, type KeyturnOptions } from "./vue/plugin.js";
export { requireAuth, type RequireAuthOptions } from "./vue/guard.js";
export type { Keyturn, KeyturnStatus } from "./vue/keyturn.js";
