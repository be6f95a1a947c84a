// Makes dist/ of everything in src/: ES modules, declarations and maps, by tsc alone.
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";

const here = new URL("..", import.meta.url);
rmSync(new URL("dist", here), { recursive: true, force: true });
execFileSync("npx", ["tsc", "-p", "tsconfig.build.json"], { cwd: here, stdio: "inherit" });
