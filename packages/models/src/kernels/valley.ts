/** The least cost on a grid of evenly spaced places, for costs that fall to one valley and rise again. */

export interface Valley {
  /** A place where the cost is known, and its cost. */
  place: number;
  cost: number;
  /** Places on its two sides, with costs; the search stays between them. */
  left: number;
  leftCost: number;
  right: number;
  rightCost: number;
}

/** Proposals of parabolas before the search goes on step by step: those of a smooth cost need two or three. */
const PARABOLAS = 8;

/**
 * Moves the valley's place to where the cost is not above that of the place before and below that of the one
 * after: by the vertex of the parabola through the three places, as long as that is a new one, then step by step.
 * The bounds are left where they came to be.
 */
export function descend(valley: Valley, costAt: (place: number) => number): void {
  const first = valley.left + 1;
  const last = valley.right - 1;
  for (let round = 0; round < PARABOLAS; round++) {
    const proposal = Math.min(Math.max(Math.round(vertexOf(valley)), first), last);
    if (proposal <= valley.left || proposal >= valley.right || proposal === valley.place) break;
    visit(valley, proposal, costAt(proposal));
  }
  walk(valley, costAt);
}

/** The same step by step alone; costs of the bounds are not asked for. */
export function walk(valley: Valley, costAt: (place: number) => number): void {
  const first = valley.left + 1;
  const last = valley.right - 1;
  for (;;) {
    const { place, left, right } = valley;
    if (place > first && left < place - 1) visit(valley, place - 1, costAt(place - 1));
    else if (place < last && right > place + 1) visit(valley, place + 1, costAt(place + 1));
    else break;
  }
}

/** Takes a new place between the bounds: for the best, or for a bound on its side of the best. */
function visit(valley: Valley, place: number, cost: number): void {
  const isLeft = place < valley.place;
  const isBetter = isLeft ? cost <= valley.cost : cost < valley.cost;
  if (isBetter) {
    if (isLeft) {
      valley.right = valley.place;
      valley.rightCost = valley.cost;
    } else {
      valley.left = valley.place;
      valley.leftCost = valley.cost;
    }
    valley.place = place;
    valley.cost = cost;
  } else if (isLeft) {
    valley.left = place;
    valley.leftCost = cost;
  } else {
    valley.right = place;
    valley.rightCost = cost;
  }
}

/** Where the parabola through the three places is least; the place itself where it opens downwards. */
function vertexOf(valley: Valley): number {
  const below = valley.place - valley.left;
  const above = valley.right - valley.place;
  const fall = (valley.leftCost - valley.cost) / below;
  const rise = (valley.rightCost - valley.cost) / above;
  const bend = fall + rise;
  return bend > 0 ? valley.place + (0.5 * (fall * above - rise * below)) / bend : valley.place;
}
