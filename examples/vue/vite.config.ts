import { fileURLToPath } from "node:url";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

const client = fileURLToPath(new URL("../../packages/js/src", import.meta.url));

export default defineConfig({
  plugins: [vue()],
  resolve: {
    // The client library of this checkout, from its source: what is shown is what is there. An
    // application of yours installs the package and needs none of this.
    alias: [
      { find: /^@keyturn\/client$/, replacement: `${client}/index.ts` },
      { find: /^@keyturn\/client\/(.+)$/, replacement: `${client}/$1.ts` },
    ],
    dedupe: ["vue", "vue-router"],
  },
  build: {
    outDir: "built", // git ignores `dist`; these files are committed
    target: "es2022",
    assetsInlineLimit: 0, // the policy of the page allows files of its own only, no data: URLs
    modulePreload: { polyfill: false },
  },
  // `keyturn dev` serves the built page. While changing it, `npm run dev` takes that place:
  // `keyturn dev --demo-port 0` leaves the port free, and its configuration is asked for here.
  server: { port: 8084, strictPort: true, proxy: { "/config.json": process.env.DEMO ?? "" } },
});
