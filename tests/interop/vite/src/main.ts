import { createApp } from "vue";
import { createRouter, createWebHistory } from "vue-router";

import { createKeyturn, requireAuth } from "@keyturn/client/vue";

import App from "./App.vue";
import { auth } from "./auth";

const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: "/", component: App, meta: { requiresAuth: true } },
    { path: "/login", component: App },
    { path: "/trouble", component: App },
  ],
});
requireAuth(router, auth, { signIn: "/login", trouble: () => "/trouble" });

createApp(App).use(router).use(createKeyturn(auth)).mount("#app");
