// One way to weigh a library: esbuild for ES2022, minified, then gzip -9.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** Resolve to the bytes of one entry point, with everything it imports but `external`. */
export async function weigh(entry, { folder = process.cwd(), external = [] } = {}) {
  const made = await build({
    entryPoints: [entry],
    absWorkingDir: folder,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    legalComments: "none",
    logLevel: "error",
    external,
    write: false,
  });
  const [{ contents }] = made.outputFiles;
  return { minified: contents.length, gzip: gzipSync(contents, { level: 9 }).length };
}
