/** Affines of NIfTI headers: voxel index to scanner millimetres, 4x4 by rows. */

/** The geometry fields of a header as numbers. */
export interface GeometryFields {
  /** pixdim[0..7]; [0] is qfac. */
  readonly pixdim: Float64Array;
  readonly qformCode: number;
  readonly sformCode: number;
  /** quatern_b, c, d. */
  readonly quaternion: readonly [number, number, number];
  /** qoffset_x, y, z. */
  readonly offset: readonly [number, number, number];
  /** srow_x, srow_y, srow_z: 12 numbers. */
  readonly srow: Float64Array;
}

/** Voxel size in mm: |pixdim|, and 1 where the header has none. */
export function voxelSizeOf(fields: GeometryFields): [number, number, number] {
  const size = (axis: number) => {
    const given = Math.abs(fields.pixdim[axis + 1]);
    return given > 0 && Number.isFinite(given) ? given : 1;
  };
  return [size(0), size(1), size(2)];
}

/** sform if its code is above 0, else qform, else the voxel size alone (methods 3, 2 and 1 of nifti1.h). */
export function affineOf(fields: GeometryFields): Float64Array {
  if (fields.sformCode > 0) return Float64Array.of(...fields.srow, 0, 0, 0, 1);
  const [dx, dy, dz] = voxelSizeOf(fields);
  if (fields.qformCode > 0) return qformAffine(fields, [dx, dy, dz]);
  return Float64Array.of(dx, 0, 0, 0, 0, dy, 0, 0, 0, 0, dz, 0, 0, 0, 0, 1);
}

function qformAffine(
  fields: GeometryFields,
  [dx, dy, dz]: readonly [number, number, number],
): Float64Array {
  let [b, c, d] = fields.quaternion;
  const square = b * b + c * c + d * d;
  let a = 0;
  if (square < 1) {
    a = Math.sqrt(1 - square);
  } else {
    // Rounding to float32 can leave a half turn a little longer than 1.
    const length = Math.sqrt(square);
    b /= length;
    c /= length;
    d /= length;
  }
  const z = fields.pixdim[0] < 0 ? -dz : dz;
  const [ox, oy, oz] = fields.offset;
  return Float64Array.of(
    (a * a + b * b - c * c - d * d) * dx,
    2 * (b * c - a * d) * dy,
    2 * (b * d + a * c) * z,
    ox,
    2 * (b * c + a * d) * dx,
    (a * a + c * c - b * b - d * d) * dy,
    2 * (c * d - a * b) * z,
    oy,
    2 * (b * d - a * c) * dx,
    2 * (c * d + a * b) * dy,
    (a * a + d * d - b * b - c * c) * z,
    oz,
    0,
    0,
    0,
    1,
  );
}

/** Geometry fields for an affine; qform_code is 0 where the axes are not at right angles. */
export function fieldsFromAffine(affine: ArrayLike<number>): GeometryFields {
  const column = (j: number) => [affine[j], affine[4 + j], affine[8 + j]];
  const sizes = [0, 1, 2].map((j) => Math.sqrt(column(j).reduce((sum, x) => sum + x * x, 0)));
  const [u, v, w] = [0, 1, 2].map((j) => column(j).map((x) => x / sizes[j]));
  const dot = (p: number[], q: number[]) => p[0] * q[0] + p[1] * q[1] + p[2] * q[2];
  const cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
  const qfac = dot(cross, w) < 0 ? -1 : 1;
  const rightAngled = Math.max(...[dot(u, v), dot(u, w), dot(v, w)].map(Math.abs)) < 1e-5;
  return {
    pixdim: Float64Array.of(qfac, sizes[0], sizes[1], sizes[2], 1, 1, 1, 1),
    qformCode: rightAngled ? 1 : 0,
    sformCode: 1,
    quaternion: rightAngled
      ? quaternionOf(
          u,
          v,
          w.map((x) => x * qfac),
        )
      : [0, 0, 0],
    offset: rightAngled ? [affine[3], affine[7], affine[11]] : [0, 0, 0],
    srow: Float64Array.from({ length: 12 }, (_, i) => affine[i]),
  };
}

/** Components b, c, d (with a >= 0) of the rotation whose columns are u, v, w. */
function quaternionOf(u: number[], v: number[], w: number[]): [number, number, number] {
  const squares = [
    1 + u[0] + v[1] + w[2],
    1 + u[0] - v[1] - w[2],
    1 - u[0] + v[1] - w[2],
    1 - u[0] - v[1] + w[2],
  ];
  // The largest component is the safe divisor.
  const largest = squares.indexOf(Math.max(...squares));
  const s = 2 * Math.sqrt(squares[largest]);
  const [vw, wu, uv] = [v[2] - w[1], w[0] - u[2], u[1] - v[0]];
  const [bc, bd, cd] = [u[1] + v[0], u[2] + w[0], v[2] + w[1]];
  const rows = [
    [s / 4, vw / s, wu / s, uv / s],
    [vw / s, s / 4, bc / s, bd / s],
    [wu / s, bc / s, s / 4, cd / s],
    [uv / s, bd / s, cd / s, s / 4],
  ];
  const [a, b, c, d] = rows[largest];
  const sign = a < 0 ? -1 : 1;
  return [sign * b, sign * c, sign * d];
}

const names = [
  "x size or rotation (row 1)",
  "x size or rotation (row 1)",
  "x size or rotation (row 1)",
  "x offset",
  "y size or rotation (row 2)",
  "y size or rotation (row 2)",
  "y size or rotation (row 2)",
  "y offset",
  "z size or rotation (row 3)",
  "z size or rotation (row 3)",
  "z size or rotation (row 3)",
  "z offset",
];

/**
 * The first entry of two affines that differs by more than `tolerance` of a voxel, in words with
 * both numbers; undefined where they agree.
 */
export function affineDifference(
  ours: Float64Array,
  theirs: Float64Array,
  tolerance: number,
): string | undefined {
  const size = (j: number) =>
    Math.sqrt(ours[j] * ours[j] + ours[4 + j] * ours[4 + j] + ours[8 + j] * ours[8 + j]);
  const sizes = [size(0), size(1), size(2)];
  const scales = [...sizes, Math.min(...sizes)];
  for (let i = 0; i < 12; i++) {
    if (!(Math.abs(ours[i] - theirs[i]) <= tolerance * scales[i % 4])) {
      return `${names[i]} ${round(theirs[i])} against ${round(ours[i])} mm`;
    }
  }
  return undefined;
}

function round(value: number): number {
  return Number(value.toPrecision(7));
}
