/** An even mesh of the sphere: an icosahedron whose triangles are split in four, again and again. */

export interface SphereMesh {
  /** Unit vectors, 3 per vertex. */
  readonly vertices: Float64Array;
  /** Vertex numbers, 3 per triangle, counter-clockwise seen from outside. */
  readonly triangles: Uint32Array;
  /** For each vertex the vertices that share an edge with it. */
  readonly neighbours: readonly (readonly number[])[];
}

/** 10 * 4^splits + 2 vertices. */
export function sphereMesh(splits: number): SphereMesh {
  const g = (1 + Math.sqrt(5)) / 2;
  const points = [
    [-1, g, 0],
    [1, g, 0],
    [-1, -g, 0],
    [1, -g, 0],
    [0, -1, g],
    [0, 1, g],
    [0, -1, -g],
    [0, 1, -g],
    [g, 0, -1],
    [g, 0, 1],
    [-g, 0, -1],
    [-g, 0, 1],
  ].map(unit);
  let faces = [
    [0, 11, 5],
    [0, 5, 1],
    [0, 1, 7],
    [0, 7, 10],
    [0, 10, 11],
    [1, 5, 9],
    [5, 11, 4],
    [11, 10, 2],
    [10, 7, 6],
    [7, 1, 8],
    [3, 9, 4],
    [3, 4, 2],
    [3, 2, 6],
    [3, 6, 8],
    [3, 8, 9],
    [4, 9, 5],
    [2, 4, 11],
    [6, 2, 10],
    [8, 6, 7],
    [9, 8, 1],
  ];
  for (let split = 0; split < splits; split++) {
    const middles = new Map<number, number>();
    const middle = (a: number, b: number) => {
      const key = Math.min(a, b) * 65536 + Math.max(a, b);
      const known = middles.get(key);
      if (known !== undefined) return known;
      points.push(unit([0, 1, 2].map((i) => points[a][i] + points[b][i])));
      middles.set(key, points.length - 1);
      return points.length - 1;
    };
    faces = faces.flatMap(([a, b, c]) => {
      const [ab, bc, ca] = [middle(a, b), middle(b, c), middle(c, a)];
      return [
        [a, ab, ca],
        [b, bc, ab],
        [c, ca, bc],
        [ab, bc, ca],
      ];
    });
  }
  return {
    vertices: Float64Array.from(points.flat()),
    triangles: Uint32Array.from(faces.flat()),
    neighbours: edges(points.length, faces),
  };
}

function unit(point: readonly number[]): number[] {
  const length = Math.sqrt(point[0] ** 2 + point[1] ** 2 + point[2] ** 2);
  return point.map((value) => value / length);
}

function edges(count: number, faces: readonly (readonly number[])[]): number[][] {
  const sets = Array.from({ length: count }, () => new Set<number>());
  for (const [a, b, c] of faces) {
    sets[a].add(b).add(c);
    sets[b].add(c).add(a);
    sets[c].add(a).add(b);
  }
  return sets.map((set) => [...set]);
}
