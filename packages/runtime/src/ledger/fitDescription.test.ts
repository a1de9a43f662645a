import { expect, it } from "vitest";
import { describeFit, differenceOf } from "./fitDescription.ts";
import { type FittableModel, fitIdentity } from "./fitIdentity.ts";
import { parseLedger } from "./ledgerRecords.ts";

interface Choice {
  readonly maxB?: number | null;
  readonly mask?: string;
  readonly shOrder?: number;
  readonly hash?: string;
  readonly timeoutSeconds?: number;
}

function modelOf({ maxB = null, mask = "m", shOrder = 8, hash = "h" }: Choice): FittableModel {
  const slabs = [new SharedArrayBuffer(40)];
  const parameters = { order: shOrder, volumes: maxB ?? 65 };
  return {
    name: "csd",
    signals: { voxelCount: 10, width: 1, dtype: "float32", voxelsPerSlab: 10, slabs },
    outputs: [{ name: "values", width: 3, dtype: "float64", units: "1" }],
    kernel: { module: "m", name: "csd", hash, parameters },
    options: { shOrder, shells: [1000, 2000], response: { s0: maxB } },
    dwi: {
      inputs: [
        { role: "dwi", sha256: "d" },
        { role: "mask", sha256: mask },
      ],
      selection: { maxB, volumes: maxB ?? 65 },
    },
  };
}

/** The first record of a ledger of this fit, as it is read back. */
async function headerOf(choice: Choice, isOld = false) {
  const model = modelOf(choice);
  const { key, parts } = await fitIdentity(model, choice.timeoutSeconds);
  const description = describeFit(model, choice.timeoutSeconds);
  const counts = { chunkCount: 5, voxelCount: 10, beganAtMs: 0, levelsMade: 0 };
  const header = { type: "fit", key, parts, ...counts, ...(isOld ? {} : { description }) };
  return parseLedger([header])!.header;
}

const difference = async (theirs: Choice, ours: Choice, isOld = false) =>
  differenceOf(await headerOf(theirs, isOld), await headerOf(ours));

it("names what a fit has other than another", async () => {
  expect(await difference({}, { maxB: 33 })).toBe(
    "max b none, here 33; volumes 65, here 33; another response",
  );
  expect(await difference({ maxB: 33, mask: "n" }, {})).toMatch(
    /^max b 33, here none; .*another mask file; another response$/,
  );
  expect(await difference({}, { mask: "n" })).toBe("another mask file");
  expect(await difference({}, { shOrder: 6 })).toBe("sh order 8, here 6");
  expect(await difference({}, { timeoutSeconds: 2 })).toBe("voxel timeout none, here 2 s");
  expect(await difference({}, { hash: "i" })).toBe("another version of Fascicle");
});

it("says what it can of a ledger that has only hashes", async () => {
  const data = "another scan, table, mask or choice of volumes";
  expect(await difference({}, { maxB: 33 }, true)).toBe(data);
  expect(await difference({}, { shOrder: 6 }, true)).toBe("another set of options");
});
