// Prints what each entry point weighs; fails when the core is too heavy.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { weigh } from "./bundle.mjs";

const MOST = 5000;
const ENTRIES = ["index", "vue", "axios", "dpop", "account", "mock"];
const folder = fileURLToPath(new URL("..", import.meta.url));

let core;
for (const entry of ENTRIES.filter((one) => existsSync(`${folder}/src/${one}.ts`))) {
  const { minified, gzip } = await weigh(`./src/${entry}.ts`, { folder, external: ["vue", "vue-router", "axios"] });
  core ??= gzip;
  console.log(`${entry.padEnd(8)} ${String(minified).padStart(6)} bytes, gzip ${String(gzip).padStart(5)}`);
}
if (core > MOST) {
  console.error(`The core is ${core - MOST} bytes over the ${MOST} it may have.`);
  process.exit(1);
}
