/** The habits of the house, held by a test: who may import whom, what is pure, how long a file may be. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

/** Imports run one way: core <- transport, object-store <- worker <- runtime; models stands alone. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  transport: ["core"],
  "object-store": ["core"],
  worker: ["core", "object-store", "transport"],
  models: [],
  runtime: ["core", "object-store", "transport", "worker", "models"],
};

const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { encoding: "utf8" })
  .split("\n")
  .filter((path) => path !== "" && existsSync(path));
const sources = files.filter((path) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path));
const code = sources.filter((path) => !path.endsWith(".test.ts"));
const read = (path: string) => readFileSync(path, "utf8");

/** Source without comments and strings' insides, so that words in prose do not count. */
function bare(path: string): string {
  return read(path)
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/\/\/.*$/gm, "");
}

function importsOf(path: string): string[] {
  const pattern = /(?:from\s+|import\s+|import\()"([^"]+)"/g;
  return [...read(path).matchAll(pattern)].map((match) => match[1]);
}

describe("imports", () => {
  it("run one way between packages, and never into another's insides", () => {
    const wrong: string[] = [];
    for (const path of sources) {
      const own = path.split("/")[1];
      for (const name of importsOf(path)) {
        const [, target, inside] = /^@fascicle\/([^/]+)(\/.*)?$/.exec(name) ?? [];
        const isOwn = target === own;
        if (target !== undefined && !isOwn && !mayImport[own].includes(target)) {
          wrong.push(`${path} imports ${name}`);
        }
        if (inside !== undefined && inside !== "/kernels") wrong.push(`${path} imports ${name}`);
        if (
          name.startsWith(".") &&
          new URL(name, `file:///${path}`).pathname.split("/")[2] !== own
        ) {
          wrong.push(`${path} reaches into another package by ${name}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it("are declared: every package names what it imports", () => {
    const missing: string[] = [];
    for (const path of code) {
      const own = path.split("/")[1];
      const { dependencies = {} } = JSON.parse(read(`packages/${own}/package.json`));
      for (const name of importsOf(path)) {
        if (name.startsWith(".") || name.startsWith("node:") || name.startsWith(`@fascicle/${own}`))
          continue;
        const target = name.startsWith("@")
          ? name.split("/").slice(0, 2).join("/")
          : name.split("/")[0];
        if (!(target in dependencies)) missing.push(`${path}: ${target}`);
      }
    }
    expect(missing).toEqual([]);
  });
});

describe("purity", () => {
  it("of core: no clock, no chance, no promise, no node", () => {
    const banned =
      /\b(Date|Math\.random|performance|process|setTimeout|setInterval|setImmediate|Promise|async|await|WeakRef|FinalizationRegistry)\b|from "node:/;
    const wrong = code.filter(
      (path) => path.startsWith("packages/core/") && banned.test(bare(path)),
    );
    expect(wrong).toEqual([]);
  });

  it("of kernels: only arithmetic that is the same on every machine", () => {
    const banned =
      /\bMath\.(?!sqrt\b|abs\b|floor\b|ceil\b|round\b|trunc\b|min\b|max\b|sign\b|PI\b|LN2\b|SQRT2\b|SQRT1_2\b|E\b|fround\b|imul\b|clz32\b)|\*\*|\bDate\b/;
    const kernels = code.filter((path) => path.startsWith("packages/models/src/kernels/"));
    expect(kernels.length).toBeGreaterThan(5);
    expect(kernels.filter((path) => banned.test(bare(path)))).toEqual([]);
  });
});

describe("files", () => {
  it("hold one noun, in at most 450 lines", () => {
    const isData = (path: string) => path.endsWith("sphere.ts");
    const long = files
      .filter((path) => /\.(ts|mjs|cjs)$/.test(path) && !isData(path))
      .filter((path) => read(path).split("\n").length > 450);
    expect(long).toEqual([]);
  });

  it("hold no word of things left for later", () => {
    const words = new RegExp(["TO" + "DO", "FIX" + "ME", "XX" + "X\\b", "HA" + "CK\\b"].join("|"));
    expect(
      files.filter((path) => /\.(ts|mjs|cjs|yaml|sh)$/.test(path) && words.test(read(path))),
    ).toEqual([]);
  });

  it("of the command line stay executable, and the lock file names no host", () => {
    expect(
      execFileSync("git", ["ls-files", "-s", "packages/runtime/bin/runtime.cjs"], {
        encoding: "utf8",
      }),
    ).toMatch(/^100755/);
    expect(read("package-lock.json")).not.toMatch(/"resolved": "http/);
  });
});
