import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dwiOptions, filesBelow, fixtures, Home } from "../support/cli.ts";

const home = new Home();
afterAll(async () => {
  expect(await home.close()).toEqual([]);
});

const stem = `${fixtures}data/real_64dir`;
const bval = ["--bval", `${stem}.bval`];
const bvec = ["--bvec", `${stem}.bvec`];
const dwi = ["--dwi", `${stem}.nii`];

interface Case {
  readonly what: string;
  readonly words: () => string[];
  readonly says: RegExp;
  readonly code?: number;
}

/** Bytes of the real volume, changed and written under a name of their own. */
function variant(name: string, change: (bytes: Buffer) => Buffer): string {
  const path = home.file(name);
  writeFileSync(path, change(readFileSync(`${stem}.nii`)));
  return path;
}

function text(name: string, content: string): string {
  const path = home.file(name);
  writeFileSync(path, content);
  return path;
}

const patched = (offset: number, value: number) => (bytes: Buffer) => {
  const copy = Buffer.from(bytes);
  copy.writeInt16LE(value, offset);
  return copy;
};

const table = (bytes: string) => bytes.trim().split(/\s+/);

const cases: Case[] = [
  {
    what: "a missing file",
    words: () => ["csd", "--dwi", home.file("no.nii"), ...bval, ...bvec],
    says: /no\.nii/,
  },
  {
    what: "a truncated file",
    words: () => [
      "csd",
      "--dwi",
      variant("cut.nii", (b) => b.subarray(0, 100_000)),
      ...bval,
      ...bvec,
    ],
    says: /cut\.nii.*(short|truncated|ends)/,
  },
  {
    what: "a gz file cut in the middle",
    words: () => {
      const path = variant("cut.nii.gz", (bytes) => {
        const packed = gzipSync(bytes);
        return packed.subarray(0, packed.length >> 1);
      });
      return ["csd", "--dwi", path, ...bval, ...bvec];
    },
    says: /cut\.nii\.gz/,
  },
  {
    what: "a wrong magic",
    words: () => [
      "csd",
      "--dwi",
      variant("magic.nii", (b) =>
        Buffer.concat([b.subarray(0, 344), Buffer.from("nope"), b.subarray(348)]),
      ),
      ...bval,
      ...bvec,
    ],
    says: /magic\.nii/,
  },
  {
    what: "an unsupported type",
    words: () => ["csd", "--dwi", variant("rgb.nii", patched(70, 128)), ...bval, ...bvec],
    says: /rgb\.nii/,
  },
  {
    what: "a 3-D volume",
    words: () => [
      "csd",
      "--dwi",
      variant("flat.nii", (b) => patched(48, 1)(patched(40, 3)(b))),
      ...bval,
      ...bvec,
    ],
    says: /flat\.nii.*(4-D|3-D|volumes)/,
  },
  {
    what: "a gradient table of another length",
    words: () => [
      "csd",
      ...dwi,
      "--bval",
      text(
        "short.bval",
        table(readFileSync(`${stem}.bval`, "utf8"))
          .slice(1)
          .join(" "),
      ),
      ...bvec,
    ],
    says: /64.*65|65.*64/,
  },
  {
    what: "a direction that is no unit vector",
    words: () => {
      const rows = readFileSync(`${stem}.bvec`, "utf8").trim().split("\n");
      rows[5] = rows[5].replace(/-?\d\.\d+(e-?\d+)?/, "7.5");
      return ["csd", ...dwi, ...bval, "--bvec", text("long.bvec", rows.join("\n"))];
    },
    says: /long\.bvec.*length 1/,
  },
  {
    what: "one b-value for free water",
    words: () => ["freewater", ...dwi, ...bval, ...bvec],
    says: /b-value/,
  },
  {
    what: "a mask of another shape",
    words: () => [
      "csd",
      ...dwi,
      ...bval,
      ...bvec,
      "--mask",
      `${fixtures}reference/freewater_synthetic_noiseless/expected_true_f.nii.gz`,
    ],
    says: /expected_true_f\.nii\.gz.*(shape|6)/,
  },
  {
    what: "an empty mask",
    words: () => {
      const mask = variant("empty.nii", (bytes) => {
        const header = patched(48, 1)(patched(40, 3)(bytes.subarray(0, 352)));
        return Buffer.concat([header, Buffer.alloc(2_000)]);
      });
      return ["csd", ...dwi, ...bval, ...bvec, "--mask", mask];
    },
    says: /empty\.nii.*(empty|no voxel)/,
  },
  {
    what: "more chunks than voxels",
    words: () => ["csd", ...dwi, ...bval, ...bvec, "--chunks", "5000"],
    says: /5000 chunks.*only 1000 voxels/,
  },
  {
    what: "a chunk count that is none",
    words: () => ["csd", ...dwi, ...bval, ...bvec, "--chunks", "many"],
    says: /chunks/,
  },
  {
    what: "an odd order",
    words: () => ["csd", ...dwi, ...bval, ...bvec, "--sh-order", "7"],
    says: /even/,
  },
  {
    what: "a shell that is not there",
    words: () => ["csd", ...dwi, ...bval, ...bvec, "--shell", "3000"],
    says: /3000/,
  },
  {
    what: "a response that is none",
    words: () => ["csd", ...dwi, ...bval, ...bvec, "--response", "1,2,3"],
    says: /four numbers/,
  },
  {
    what: "a response file that is missing",
    words: () => ["csd", ...dwi, ...bval, ...bvec, "--response", home.file("r.txt")],
    says: /r\.txt/,
  },
  {
    what: "too little object memory",
    words: () => ["csd", ...dwi, ...bval, ...bvec, "--object-memory", "100kB"],
    says: /--object-memory/,
  },
  {
    what: "an unknown option",
    words: () => ["csd", ...dwi, ...bval, ...bvec, "--fast"],
    says: /--fast/,
  },
  { what: "a missing option", words: () => ["csd", ...dwi, ...bval], says: /--bvec/ },
  {
    what: "float32 for a model that has none",
    words: () => ["dti", ...dwi, ...bval, ...bvec, "--precision", "float32"],
    says: /--precision float32 is for csd; dti is fitted in float64 alone/,
  },
  {
    what: "float32 for an order that is too high for it",
    words: () => {
      const response = ["--response", "0.0017,0.0003,0.0003,1000"];
      const fine = ["--sh-order", "10", "--precision", "float32"];
      return ["csd", ...dwi, ...bval, ...bvec, ...response, ...fine];
    },
    says: /float32 is too coarse for order 10; give an order of at most 8/,
  },
];

describe("bad input", () => {
  for (const { what, words, says, code = 2 } of cases) {
    it(`is told in one sentence: ${what}`, async () => {
      const out = home.file("out");
      const begunMs = Date.now();
      const ended = await home.run(["fit", ...words(), "--out", out]);
      expect(ended.stderr).toMatch(says);
      expect(ended).toMatchObject({ code, stdout: "" });
      expect(ended.stderr).not.toMatch(/\n\s+at /);
      const sentences = ended.stderr
        .trim()
        .split("\n")
        .filter((line) => line.startsWith("runtime:"));
      expect(sentences).toHaveLength(1);
      expect(Date.now() - begunMs).toBeLessThan(5_000);
      expect(existsSync(out)).toBe(false);
    });
  }

  it("an order too high for the directions is warned of, and fitted", async () => {
    const out = home.file("high");
    const ended = await home.run([
      "fit",
      "csd",
      ...dwi,
      ...bval,
      ...bvec,
      "--sh-order",
      "12",
      "--out",
      out,
    ]);
    expect(ended.code).toBe(0);
    expect(ended.stderr).toMatch(/warning: .*91 .*64/);
  });

  it("an output directory that cannot be written, or is a file, is known before the fit", async () => {
    const file = text("a-file", "");
    const blocked = await home.run(["fit", "csd", ...dwi, ...bval, ...bvec, "--out", file]);
    expect(blocked).toMatchObject({ code: 2 });
    expect(blocked.stderr).toMatch(/a-file/);
    const below = await home.run(["fit", "csd", ...dwi, ...bval, ...bvec, "--out", `${file}/maps`]);
    expect(below).toMatchObject({ code: 2 });
    if (process.getuid?.() !== 0) {
      const locked = home.file("locked");
      mkdirSync(locked);
      chmodSync(locked, 0o500);
      const ended = await home.run(["fit", "csd", ...dwi, ...bval, ...bvec, "--out", locked]);
      expect(ended).toMatchObject({ code: 2 });
    }
  });

  it("leaves maps of an earlier fit as they were", async () => {
    const out = home.file("kept");
    const first = await home.run(["fit", "dti", ...dwi, ...bval, ...bvec, "--out", out]);
    expect(first.code).toBe(0);
    const before = filesBelow(out).sort();
    const bad = await home.run([
      "fit",
      "dti",
      ...dwi,
      ...bval,
      ...bvec,
      "--out",
      out,
      "--chunks",
      "9999",
    ]);
    expect(bad.code).toBe(2);
    expect(filesBelow(out).sort()).toEqual(before);
    const again = await home.run(["fit", "dti", ...dwi, ...bval, ...bvec, "--out", out]);
    expect(again.code).toBe(0);
    expect(filesBelow(out).sort()).toEqual(before);
  });
});

describe("commands", () => {
  let copied = "";
  beforeAll(() => {
    copied = home.file("copy.nii");
    copyFileSync(`${stem}.nii`, copied);
  });

  it("say in words why a file or a directory cannot be had", async () => {
    const below = `${copied}/x`;
    const cases: [words: string[], reason: RegExp][] = [
      [["status", "--join-file", home.file("none")], /cannot be read \(it does not exist\)/],
      [["start", "--head", "--state-dir", below], /be made \(a part of its path is a file/],
      [["start", "--head", "--state-dir", copied], /be made \(a file is in its place\)/],
      [
        ["start", "--head", "--port", "0", "--join-file", home.file("none", "x")],
        /be written \(its directory does not exist\)/,
      ],
    ];
    for (const [words, reason] of cases) {
      const { code, stdout, stderr } = await home.run(words);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(reason);
      expect(stderr).not.toMatch(/E[A-Z]{4,}/);
    }
  });

  it("of later versions say so", async () => {
    const ended = await home.run(["bench", "tasks"]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(/not in this version yet/);
  });

  it("help, and tell their version, on stdout with exit code 0", async () => {
    for (const words of [
      ["--help"],
      ["fit", "--help"],
      ["fit", "csd", "--help"],
      ["join", "--help"],
    ]) {
      const ended = await home.run(words);
      expect(ended).toMatchObject({ code: 0, stderr: "" });
      expect(ended.stdout).toMatch(/Usage: runtime/);
    }
    expect((await home.run(["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await home.run(["nonsense"])).code).toBe(2);
    expect((await home.run([])).code).toBe(2);
    expect((await home.run(["start"])).stderr).toMatch(/--head/);
  });

  it("stop at Ctrl-C in an embedded fit, with 130 and nothing left", async () => {
    const out = home.file("interrupted");
    const fit = home.start([
      "fit",
      "csd",
      "--dwi",
      copied,
      ...bval,
      ...bvec,
      "--out",
      out,
      "--iterations",
      "1000",
      "--tau",
      "5",
    ]);
    await fit.saw(/fitting csd|reading/);
    fit.signal("SIGINT");
    expect(await fit.ended).toMatchObject({ code: 130, stdout: "" });
    expect(existsSync(out)).toBe(false);
  });
});

describe("dwiOptions", () => {
  it("name existing files", () => {
    for (const path of dwiOptions(stem, ".nii").filter((word) => !word.startsWith("--"))) {
      expect(existsSync(path)).toBe(true);
    }
  });
});
