import { describe, expect, it } from "vitest";
import { InputError } from "../model.ts";
import { gradientTable } from "../tensor/testing.ts";
import { chooseShells, shellsOf } from "./shells.ts";

function tableOf(...bvals: number[]) {
  return gradientTable(
    bvals,
    bvals.flatMap(() => [0, 0, 1]),
  );
}

const hcp = tableOf(5, 2990, 1005, 1995, 3005, 995, 2005, 0, 3010, 1000);

describe("shells", () => {
  it("gather b-values up to 100 apart and leave b0 volumes out", () => {
    expect(shellsOf(hcp).map(({ bval, volumes }) => [bval, Array.from(volumes)])).toEqual([
      [1000, [2, 5, 9]],
      [2000, [3, 6]],
      [3002, [1, 4, 8]],
    ]);
    expect(shellsOf(tableOf(0, 1000, 1100, 1201)).map(({ bval }) => bval)).toEqual([1050, 1201]);
  });

  it("are chosen by size, by number or all, volumes in file order", () => {
    const pick = (choice: "largest" | "all" | number) =>
      Array.from(chooseShells(hcp, choice).volumes);
    expect(pick("largest")).toEqual([1, 4, 8]);
    expect(pick(2000)).toEqual([3, 6]);
    expect(pick(1105)).toEqual([2, 5, 9]);
    expect(pick(2890)).toEqual([1, 4, 8]);
    expect(pick("all")).toEqual([1, 2, 3, 4, 5, 6, 8, 9]);
    expect(chooseShells(hcp, "largest").warnings).toEqual([]);
    expect(chooseShells(hcp, "all").warnings).toEqual([
      expect.stringContaining("3 shells (b = 1000, 2000, 3002) with one response"),
    ]);
  });

  it("are listed where the wanted one is not there", () => {
    expect(() => chooseShells(hcp, 1500)).toThrow(InputError);
    expect(() => chooseShells(hcp, 1500)).toThrow(
      "No shell lies within 100 of b = 1500; choose one of b = 1000 (3 volumes), 2000 (2 volumes), 3002 (3 volumes)",
    );
    expect(() => chooseShells(tableOf(0, 5), "largest")).toThrow(/above the b0 threshold of 50/);
  });

  it("warn where b-values lie in a chain", () => {
    const chain = chooseShells(tableOf(0, 1000, 1090, 1180, 1270), "largest");
    expect(chain.volumes.length).toBe(4);
    expect(chain.warnings).toEqual([expect.stringContaining("from 1000 to 1270")]);
  });
});
