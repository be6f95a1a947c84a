/** Starts the page: where everything is, who is signed in, then the app. */

import "./style.css";
import "./clock";
import { createKeyturn } from "@keyturn/client/vue";
import { createApp } from "vue";
import App from "./App.vue";
import { CONFIG, loadConfig } from "./config";
import { startAuth } from "./auth";
import { createAppRouter } from "./router";

async function start(): Promise<void> {
  const config = await loadConfig();
  const auth = startAuth(config);
  const app = createApp(App);
  app.provide(CONFIG, config);
  app.use(createKeyturn(auth));
  app.use(createAppRouter(auth));
  app.mount("#app");
}

start().catch((error: unknown) => {
  const place = document.getElementById("app");
  if (place) place.textContent = `The demo cannot start: ${String(error)}. Is keyturn dev running?`;
});
