import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { cos, exp, log, sin } from "./elementary.ts";

type Case = readonly [x: number, rounded: number, rest: number];
const cases = JSON.parse(
  readFileSync(new URL("../tensor/elementaryCases.json", import.meta.url), "utf8"),
) as Record<"exp" | "log" | "sin" | "cos", readonly Case[]>;

const functions = { exp, log, sin, cos };

/** Distance between neighbouring doubles at |value|. */
function unitInTheLastPlace(value: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(value));
  const bits = view.getBigUint64(0);
  view.setBigUint64(0, bits + 1n);
  const above = view.getFloat64(0);
  return Number.isFinite(above) ? above - Math.abs(value) : Math.abs(value) * 2 ** -53;
}

/** A small generator (mulberry32), so that a failure can be repeated. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function worstAgainstMath(name: keyof typeof functions, next: () => number, count: number): number {
  let worst = 0;
  for (let i = 0; i < count; i++) {
    const x = next();
    const expected = Math[name](x);
    const error = Math.abs(functions[name](x) - expected) / unitInTheLastPlace(expected);
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

describe("elementary functions", () => {
  for (const name of ["exp", "log", "sin", "cos"] as const) {
    it(`${name} stays below one unit in the last place of high-precision values`, () => {
      expect(cases[name].length).toBeGreaterThan(50);
      let worst = 0;
      for (const [x, rounded, rest] of cases[name]) {
        const error = Math.abs(functions[name](x) - rounded - rest) / unitInTheLastPlace(rounded);
        if (error >= 1) expect.fail(`${name}(${x}) is ${error} units off`);
        worst = Math.max(worst, error);
      }
      expect(worst).toBeLessThan(1);
    });
  }

  it("agrees with Math within two units over many random values", () => {
    const random = generator(1);
    const wide = () => (random() - 0.5) * 1400;
    const narrow = () => (random() - 0.5) * 4;
    const power = () => 2 ** ((random() - 0.5) * 2040) * (1 + random());
    const near = () => 0.5 + random();
    const angle = () => (random() - 0.5) * 2e5;
    const huge = () => 10 ** (6 + random() * 300);
    expect(worstAgainstMath("exp", wide, 100_000)).toBeLessThanOrEqual(1);
    expect(worstAgainstMath("exp", narrow, 100_000)).toBeLessThanOrEqual(1);
    expect(worstAgainstMath("log", power, 100_000)).toBeLessThanOrEqual(1);
    expect(worstAgainstMath("log", near, 100_000)).toBeLessThanOrEqual(1);
    for (const name of ["sin", "cos"] as const) {
      expect(worstAgainstMath(name, narrow, 100_000)).toBeLessThanOrEqual(2);
      expect(worstAgainstMath(name, angle, 100_000)).toBeLessThanOrEqual(2);
      expect(worstAgainstMath(name, huge, 2_000)).toBeLessThanOrEqual(2);
    }
  });

  it("knows the special values", () => {
    expect(exp(0)).toBe(1);
    expect(exp(-0)).toBe(1);
    expect(exp(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
    expect(exp(Number.NEGATIVE_INFINITY)).toBe(0);
    expect(exp(710)).toBe(Number.POSITIVE_INFINITY);
    expect(exp(1e300)).toBe(Number.POSITIVE_INFINITY);
    expect(exp(-746)).toBe(0);
    expect(exp(-1e300)).toBe(0);
    expect(exp(Number.NaN)).toBeNaN();
    expect(exp(709.782712893384)).toBeLessThan(Number.POSITIVE_INFINITY);
    expect(exp(-745.1332191019411)).toBe(5e-324);
    expect(log(1)).toBe(0);
    expect(log(0)).toBe(Number.NEGATIVE_INFINITY);
    expect(log(-0)).toBe(Number.NEGATIVE_INFINITY);
    expect(log(-1)).toBeNaN();
    expect(log(Number.NEGATIVE_INFINITY)).toBeNaN();
    expect(log(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
    expect(log(Number.NaN)).toBeNaN();
    expect(sin(0)).toBe(0);
    expect(sin(-0)).toBe(-0);
    expect(cos(0)).toBe(1);
    for (const x of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(sin(x)).toBeNaN();
      expect(cos(x)).toBeNaN();
    }
  });

  it("gives subnormal results and takes subnormal arguments", () => {
    const random = generator(2);
    expect(worstAgainstMath("exp", () => -708 - random() * 37, 20_000)).toBeLessThanOrEqual(1);
    expect(
      worstAgainstMath("log", () => 5e-324 * Math.floor(1 + random() * 2 ** 51), 20_000),
    ).toBeLessThanOrEqual(1);
  });

  it("gives the bits it gave before, so that hosts may be mixed", () => {
    const random = generator(3);
    let digest = 0n;
    const view = new DataView(new ArrayBuffer(8));
    for (let i = 0; i < 20_000; i++) {
      const x = (random() - 0.5) * 200;
      for (const value of [exp(x), log(Math.abs(x)), sin(x), cos(x), sin(x * 1e9)]) {
        view.setFloat64(0, value);
        digest = BigInt.asUintN(64, (digest ^ view.getBigUint64(0)) * 1099511628211n + 1n);
      }
    }
    expect(digest.toString(16)).toBe("72e14bfdaf70caef");
  });
});
