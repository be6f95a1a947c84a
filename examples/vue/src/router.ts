/** Which address shows what, and which of them need somebody signed in. */

import type { Auth } from "@keyturn/client";
import { requireAuth } from "@keyturn/client/vue";
import { nextTick } from "vue";
import { createRouter, createWebHistory } from "vue-router";
import type { Router } from "vue-router";
import Device from "./pages/Device.vue";
import NotFound from "./pages/NotFound.vue";
import Orders from "./pages/Orders.vue";
import Payment from "./pages/Payment.vue";
import Profile from "./pages/Profile.vue";
import Sessions from "./pages/Sessions.vue";
import SignIn from "./pages/SignIn.vue";
import Trouble from "./pages/Trouble.vue";

const signedIn = { requiresAuth: true };

const routes = [
  { path: "/", component: Orders, meta: { ...signedIn, title: "Orders" } },
  { path: "/profile", component: Profile, meta: { ...signedIn, title: "Profile" } },
  { path: "/sessions", component: Sessions, meta: { ...signedIn, title: "Sessions" } },
  { path: "/payment", component: Payment, meta: { ...signedIn, title: "Payment" } },
  { path: "/device", component: Device, meta: { title: "Connect a device" } },
  { path: "/sign-in", component: SignIn, meta: { title: "Sign in" } },
  { path: "/callback", component: SignIn, meta: { title: "Sign in" } },
  { path: "/trouble", component: Trouble, meta: { title: "Something went wrong" } },
  { path: "/:anything(.*)*", component: NotFound, meta: { title: "No such page" } },
];

export function createAppRouter(auth: Auth): Router {
  const router = createRouter({ history: createWebHistory(), routes });
  requireAuth(router, auth, {
    signIn: "/sign-in",
    trouble: (error, to) => ({ path: "/trouble", query: { what: reason(error), at: to.path } }),
  });
  router.afterEach((to, from) => {
    document.title = `${String(to.meta.title)} · keyturn demo`;
    // Whoever listens hears where they are; the first load is announced by the browser itself.
    if (from.matched.length) void nextTick(() => document.getElementById("title")?.focus());
  });
  return router;
}

function reason(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}
