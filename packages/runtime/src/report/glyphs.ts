/** Pictures of FODs as solids whose radius is the amplitude, coloured by direction. */
import type { Pixels } from "./png.ts";
import type { SphereMesh } from "./sphere.ts";

/** One FOD on its place in the picture. */
export interface Glyph {
  readonly column: number;
  readonly row: number;
  /** One per vertex of the mesh. */
  readonly amplitudes: Float64Array;
}

export interface GlyphScene {
  readonly columns: number;
  readonly rows: number;
  readonly glyphs: readonly Glyph[];
  readonly mesh: SphereMesh;
  /** Amplitude that fills half a cell. */
  readonly fullAmplitude: number;
  /** Brightness 0..1 behind each cell, rows from the top; NaN for none. */
  readonly background: Float64Array;
  /** Turns a vertex to (image right, image up, towards the viewer). */
  readonly toView: (vector: readonly number[]) => [number, number, number];
}

/** Drawn at twice the size and averaged, so that edges are smooth. */
const oversampling = 2;
/** FODs whose largest lobe is below this share of a full one are drawn to scale. */
const smallest = 0.12;
const light = [-0.35, 0.45, 0.82] as const;

/** Draws the scene with `cell` pixels for each voxel. */
export function drawGlyphs(scene: GlyphScene, cell: number): Pixels {
  const fine = cell * oversampling;
  const width = scene.columns * fine;
  const height = scene.rows * fine;
  const canvas: Canvas = {
    width,
    height,
    rgb: new Uint8Array(3 * width * height),
    depth: new Float32Array(width * height).fill(Number.NEGATIVE_INFINITY),
  };
  paintBackground(scene, fine, canvas);
  const { vertices } = scene.mesh;
  const count = vertices.length / 3;
  const view = new Float64Array(vertices.length);
  for (let i = 0; i < count; i++) {
    const direction = [vertices[3 * i], vertices[3 * i + 1], vertices[3 * i + 2]];
    view.set(scene.toView(direction), 3 * i);
  }
  for (const glyph of scene.glyphs) drawGlyph(scene, glyph, view, fine, canvas);
  return shrink(canvas);
}

interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
  readonly depth: Float32Array;
}

function paintBackground(scene: GlyphScene, fine: number, canvas: Canvas): void {
  for (let y = 0, at = 0; y < canvas.height; y++) {
    for (let x = 0; x < canvas.width; x++, at += 3) {
      const cell = Math.floor(y / fine) * scene.columns + Math.floor(x / fine);
      const share = scene.background[cell];
      // Dim, so that the solids stand out before the anatomy.
      const grey = Number.isFinite(share) ? 14 + 78 * Math.min(1, Math.max(0, share)) : 10;
      canvas.rgb.fill(grey, at, at + 3);
    }
  }
}

function drawGlyph(
  scene: GlyphScene,
  glyph: Glyph,
  view: Float64Array,
  fine: number,
  canvas: Canvas,
): void {
  const { mesh, fullAmplitude } = scene;
  const count = view.length / 3;
  const corners = new Float64Array(view.length);
  const largest = glyph.amplitudes.reduce((a, b) => Math.max(a, b), 0);
  if (!(largest > 0)) return;
  // Crossing fibres share what one alone would have, and would look like nothing beside it; yet what
  // is far below all fibres, such as noise in water, stays small.
  const relative = largest / fullAmplitude;
  const length = relative > smallest ? Math.sqrt(relative) : relative;
  const centreX = (glyph.column + 0.5) * fine;
  const centreY = (glyph.row + 0.5) * fine;
  for (let i = 0; i < count; i++) {
    // Lobes may reach a little into the neighbours' cells, not across them.
    const share = Math.max(0, glyph.amplitudes[i] / largest) * Math.min(1.3, length);
    const radius = 0.52 * fine * share;
    corners[3 * i] = centreX + radius * view[3 * i];
    corners[3 * i + 1] = centreY - radius * view[3 * i + 1];
    corners[3 * i + 2] = radius * view[3 * i + 2];
  }
  for (let t = 0; t < mesh.triangles.length; t += 3) {
    drawTriangle(mesh, t, corners, canvas);
  }
}

/** Fills one triangle where it is nearest, in the colour of its direction, shaded by its slope. */
function drawTriangle(mesh: SphereMesh, t: number, corners: Float64Array, canvas: Canvas): void {
  const [a, b, c] = [0, 1, 2].map((k) => 3 * mesh.triangles[t + k]);
  const ux = corners[b] - corners[a];
  const uy = corners[b + 1] - corners[a + 1];
  const vx = corners[c] - corners[a];
  const vy = corners[c + 1] - corners[a + 1];
  const area = ux * vy - uy * vx;
  if (Math.abs(area) < 1e-9) return;
  const colour = triangleColour(mesh, a, b, c, corners);
  const xs = [corners[a], corners[b], corners[c]];
  const ys = [corners[a + 1], corners[b + 1], corners[c + 1]];
  const top = Math.max(0, Math.floor(Math.min(...ys)));
  const bottom = Math.min(canvas.height - 1, Math.ceil(Math.max(...ys)));
  const left = Math.max(0, Math.floor(Math.min(...xs)));
  const right = Math.min(canvas.width - 1, Math.ceil(Math.max(...xs)));
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const px = x + 0.5 - corners[a];
      const py = y + 0.5 - corners[a + 1];
      const s = (px * vy - py * vx) / area;
      const r = (ux * py - uy * px) / area;
      if (s < -1e-6 || r < -1e-6 || s + r > 1 + 1e-6) continue;
      const z =
        corners[a + 2] +
        s * (corners[b + 2] - corners[a + 2]) +
        r * (corners[c + 2] - corners[a + 2]);
      const at = y * canvas.width + x;
      if (z <= canvas.depth[at]) continue;
      canvas.depth[at] = z;
      canvas.rgb.set(colour, 3 * at);
    }
  }
}

function triangleColour(
  mesh: SphereMesh,
  a: number,
  b: number,
  c: number,
  corners: Float64Array,
): [number, number, number] {
  const u = [0, 1, 2].map((k) => corners[b + k] - corners[a + k]);
  const v = [0, 1, 2].map((k) => corners[c + k] - corners[a + k]);
  // The picture's y runs down, the viewer's up.
  const normal = [
    u[1] * v[2] - u[2] * v[1],
    -(u[2] * v[0] - u[0] * v[2]),
    u[0] * v[1] - u[1] * v[0],
  ];
  const length = Math.sqrt(normal.reduce((sum, value) => sum + value * value, 0)) || 1;
  const facing = Math.abs(
    (normal[0] * light[0] + normal[1] * light[1] + normal[2] * light[2]) / length,
  );
  const shade = 0.42 + 0.58 * facing;
  return [0, 1, 2].map((k) => {
    const { vertices } = mesh;
    const along = Math.abs(vertices[a + k] + vertices[b + k] + vertices[c + k]) / 3;
    return Math.round(255 * shade * (0.1 + 0.9 * along));
  }) as [number, number, number];
}

function shrink({ width, height, rgb }: Canvas): Pixels {
  const out = { width: width / oversampling, height: height / oversampling };
  const rgba = new Uint8Array(4 * out.width * out.height).fill(255);
  for (let y = 0; y < out.height; y++) {
    for (let x = 0; x < out.width; x++) {
      for (let k = 0; k < 3; k++) {
        let sum = 0;
        for (let dy = 0; dy < oversampling; dy++) {
          for (let dx = 0; dx < oversampling; dx++) {
            sum += rgb[3 * ((y * oversampling + dy) * width + x * oversampling + dx) + k];
          }
        }
        rgba[4 * (y * out.width + x) + k] = Math.round(sum / oversampling ** 2);
      }
    }
  }
  return { ...out, rgba };
}
