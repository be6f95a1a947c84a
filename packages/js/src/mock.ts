/** An `Auth` for unit tests of applications: the real rules, with an issuer and APIs in memory. */

export { type MockAuth, mockAuth, type MockOptions } from "./mock/auth.js";
export type { Answer } from "./mock/server.js";
