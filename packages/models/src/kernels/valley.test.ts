import { describe, expect, it } from "vitest";
import { randomNumbers } from "../csd/testing.ts";
import { descend, type Valley, walk } from "./valley.ts";

/** A valley of so many places on both sides of 0, and a function that counts how often it is asked. */
function valleyOf(cost: (place: number) => number, reach: number) {
  const asked: number[] = [];
  const costAt = (place: number) => {
    asked.push(place);
    return cost(place);
  };
  const valley: Valley = {
    place: 0,
    cost: cost(0),
    left: -reach,
    leftCost: cost(-reach),
    right: reach,
    rightCost: cost(reach),
  };
  return { valley, costAt, asked };
}

/** The first place of the least cost between the bounds. */
function leastOf(cost: (place: number) => number, reach: number): number {
  let least = 1 - reach;
  for (let place = least + 1; place < reach; place++) if (cost(place) < cost(least)) least = place;
  return least;
}

describe("descend", () => {
  it("finds the least cost of smooth valleys, wherever they lie, with few questions", () => {
    const random = randomNumbers(4);
    let questions = 0;
    for (let trial = 0; trial < 2000; trial++) {
      const [bottom, skew] = [250 * (random() - 0.5), random() - 0.5];
      const cost = (place: number) => {
        const x = (place - bottom) / 100;
        return x * x + 0.25 * skew * x * x * x + 0.1 * x * x * x * x;
      };
      const { valley, costAt, asked } = valleyOf(cost, 100);
      descend(valley, costAt);
      expect(valley.place).toBe(leastOf(cost, 100));
      expect(valley.cost).toBe(cost(valley.place));
      expect(new Set(asked).size).toBe(asked.length);
      expect(asked.every((place) => Math.abs(place) < 100)).toBe(true);
      questions = Math.max(questions, asked.length);
    }
    expect(questions).toBeLessThanOrEqual(11);
  });

  it("finds it in valleys with corners and flat places too, the first of equals", () => {
    for (let bottom = -12; bottom <= 12; bottom++) {
      const corner = (place: number) => Math.abs(place - bottom) * (place < bottom ? 1 : 7);
      const flat = (place: number) => Math.max(2, Math.abs(place - bottom));
      const lopsided = (place: number) => (place < bottom ? 1e6 - place : place);
      for (const cost of [corner, flat, lopsided]) {
        const { valley, costAt } = valleyOf(cost, 10);
        descend(valley, costAt);
        expect(valley.cost).toBe(cost(leastOf(cost, 10)));
        if (cost !== flat) expect(valley.place).toBe(leastOf(cost, 10));
      }
    }
  });

  it("keeps its place among costs that are no numbers", () => {
    const { valley, costAt } = valleyOf((place) => (place === 0 ? 5 : Number.NaN), 10);
    descend(valley, costAt);
    expect([valley.place, valley.cost]).toEqual([0, 5]);
  });
});

describe("walk", () => {
  it("goes down step by step and asks for no cost of a bound", () => {
    for (let bottom = -7; bottom <= 7; bottom++) {
      const cost = (place: number) => (place - bottom) ** 2;
      const { valley, costAt, asked } = valleyOf(cost, 6);
      valley.leftCost = Number.NaN;
      valley.rightCost = Number.NaN;
      walk(valley, costAt);
      expect(valley.place).toBe(leastOf(cost, 6));
      expect(asked.length).toBeLessThanOrEqual(Math.abs(valley.place) + 2);
      for (const side of [-1, 1] as const) {
        const known = side < 0 ? valley.leftCost : valley.rightCost;
        const bound = side < 0 ? valley.left : valley.right;
        expect(bound).toBe(valley.place + side);
        expect(known).toBe(Math.abs(bound) === 6 ? Number.NaN : cost(bound));
      }
    }
  });
});
