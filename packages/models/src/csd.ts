/** Constrained spherical deconvolution, bound to a dwi. */
import { type CsdExtras, csdExtras } from "./csd/extras.ts";
import { type ResponseChoice, resolveResponse } from "./csd/response.ts";
import { toScannerFrame } from "./csd/scannerFrame.ts";
import { chooseShells, type ShellChoice } from "./csd/shells.ts";
import type { Dwi } from "./io/dwi.ts";
import { kernelWarnings } from "./kernelEngine.ts";
import { kernelHash } from "./kernelHash.ts";
import type { CsdPrecision } from "./kernels/csdFunctions.ts";
import type { CsdParameters, ShBasis } from "./kernels/csdParameters.ts";
import { HEMISPHERE181 } from "./kernels/sphere.ts";
import { coefficientCount } from "./kernels/sphericalHarmonics.ts";
import { type DwiModel, InputError, type MapFile, type OutputField } from "./model.ts";

export type { AutoResponse, TensorResponse } from "./csd/autoResponse.ts";
export { autoResponse } from "./csd/autoResponse.ts";
export type { CsdExtras } from "./csd/extras.ts";
export type { ResponseChoice } from "./csd/response.ts";
export { tensorHarmonics } from "./csd/response.ts";
export { toScannerFrame } from "./csd/scannerFrame.ts";
export type { Shell, ShellChoice } from "./csd/shells.ts";
export { shellsOf } from "./csd/shells.ts";
export type { CsdPrecision } from "./kernels/csdFunctions.ts";
export { forwardSdeconvMatrix, lambdaEffective } from "./kernels/csdMatrices.ts";
export type { CsdParameters, ShBasis } from "./kernels/csdParameters.ts";
export { realShBasis } from "./kernels/sphericalHarmonics.ts";

/** Above it the normal matrix is too close to singular for float32. */
const FLOAT32_ORDER = 8;

export interface CsdOptions {
  /** Greatest order of the spherical harmonics: even, 0 to 16. Default 8. */
  readonly shOrder?: number;
  /** Default `auto`. */
  readonly response?: ResponseChoice;
  /** Which diffusion-weighted volumes are fitted. Default `largest`. */
  readonly shell?: ShellChoice;
  /**
   * `descoteaux07` (default): DIPY's legacy basis, in the frame of the bvecs. `mrtrix3`: MRtrix3's
   * basis, in the scanner's frame.
   */
  readonly shBasis?: ShBasis;
  /** Weight of the constraint. Default 1. */
  readonly lambda?: number;
  /** Amplitudes below this share of the mean amplitude are pushed to 0. Default 0.1. */
  readonly tau?: number;
  /** Most iterations in a voxel, 1 to 65535. Default 50. */
  readonly iterations?: number;
  /**
   * Arithmetic of the iterations. With `float32` (orders up to 8) they run in float32, and in float64
   * wherever rounding could decide otherwise, or all of them where lambda and tau make float32 too coarse:
   * faster, with the answers of float64. Default `float64`.
   */
  readonly precision?: CsdPrecision;
}

export type CsdModel = DwiModel<CsdExtras>;

/**
 * Constrained spherical deconvolution of one shell (Tournier, Calamante & Connelly 2007, NeuroImage
 * 35:1459), with the answers of DIPY's ConstrainedSphericalDeconvModel: `sh` [voxels, (L+1)(L+2)/2]
 * coefficients of the fibre orientation distribution, `gfa`, `iterations` and `status` [voxels, 1].
 * Throws InputError on options that do not fit the data.
 */
export function csd(dwi: Dwi, options: CsdOptions = {}): CsdModel {
  const resolved = resolveOptions(options);
  const { shOrder, shBasis, lambda, tau, iterations, precision } = resolved;
  const count = coefficientCount(shOrder);
  const chosen = chooseShells(dwi.gradients, resolved.shell);
  const { volumes } = chosen;
  const given = directionsOf(dwi, volumes);
  const directions = shBasis === "mrtrix3" ? toScannerFrame(given, dwi.geometry.affine) : given;
  // Always in the frame of the bvecs: a response sampled in another frame is another one in its last orders.
  const response = resolveResponse(dwi, { shOrder, chosen, directions: given }, resolved.response);
  const parameters: CsdParameters = {
    ...{ width: dwi.signals.width, volumes, directions, shOrder, shBasis, lambda, tau, iterations },
    ...{ precision, slope: dwi.scale.slope },
    intercept: dwi.scale.intercept,
    responseHarmonics: response.harmonics,
    // The constraint turns with the directions: another frame is another form of the same answer.
    ...(shBasis === "mrtrix3"
      ? { regularisation: toScannerFrame(HEMISPHERE181, dwi.geometry.affine) }
      : {}),
  };
  const extras = {
    ...{ shOrder, shBasis, directions, volumes, isB0: dwi.gradients.isB0 },
    responseHarmonics: response.harmonics,
    responseS0: response.s0,
  };
  return {
    name: "csd",
    dwi,
    signals: dwi.signals,
    outputs: outputsOf(count),
    kernel: { module: "@fascicle/models/kernels", name: "csd", hash: kernelHash(), parameters },
    options: {
      ...{ shOrder, shBasis, lambda, tau, iterations, precision },
      shells: chosen.shells.map(({ bval }) => bval),
      directions: volumes.length,
      response: { ...response.record, harmonics: Array.from(response.harmonics) },
    },
    warnings: [
      ...chosen.warnings,
      ...response.warnings,
      ...countWarnings(count, volumes.length, chosen.shells),
      ...kernelWarnings(),
    ],
    files: filesOf(shBasis, shOrder),
    extend: (fit) => csdExtras(extras, fit),
  };
}

function resolveOptions(options: CsdOptions): Required<CsdOptions> {
  const { shOrder = 8, response = "auto", shell = "largest", shBasis = "descoteaux07" } = options;
  const { lambda = 1, tau = 0.1, iterations = 50, precision = "float64" } = options;
  if (precision !== "float64" && precision !== "float32") {
    throw new InputError(`The precision is "${precision}"; give float64 or float32.`);
  }
  if (precision === "float32" && shOrder > FLOAT32_ORDER) {
    throw new InputError(
      `float32 is too coarse for order ${shOrder}; give an order of at most ${FLOAT32_ORDER}, or the precision float64.`,
    );
  }
  if (shBasis !== "descoteaux07" && shBasis !== "mrtrix3") {
    throw new InputError(`The basis is "${shBasis}"; give descoteaux07 or mrtrix3.`);
  }
  if (!(shell === "largest" || shell === "all" || (typeof shell === "number" && shell > 0))) {
    throw new InputError(`The shell is "${shell}"; give a b-value above 0, "largest" or "all".`);
  }
  if (!(lambda > 0 && Number.isFinite(lambda))) {
    throw new InputError(`lambda is ${lambda}; give a number above 0.`);
  }
  if (!(tau >= 0 && Number.isFinite(tau))) {
    throw new InputError(`tau is ${tau}; give a number of 0 or above.`);
  }
  if (!(Number.isInteger(iterations) && iterations >= 1 && iterations <= 65535)) {
    throw new InputError(`The iterations are ${iterations}; give a whole number from 1 to 65535.`);
  }
  return { shOrder, response, shell, shBasis, lambda, tau, iterations, precision };
}

function directionsOf(dwi: Dwi, volumes: Int32Array): Float64Array {
  const directions = new Float64Array(3 * volumes.length);
  for (let k = 0; k < volumes.length; k++) {
    const at = 3 * volumes[k];
    directions.set(dwi.gradients.bvecs.subarray(at, at + 3), 3 * k);
  }
  return directions;
}

function countWarnings(
  count: number,
  directions: number,
  shells: readonly { readonly bval: number }[],
): string[] {
  if (count <= directions) return [];
  const where = shells.map(({ bval }) => Math.round(bval)).join(", ");
  return [
    `The fit has ${count} coefficients and only ${directions} directions (b = ${where}); the constraint alone decides the finer ones, so a lower order or a shell with more directions would be safer.`,
  ];
}

function outputsOf(count: number): OutputField[] {
  return [
    { name: "sh", width: count, dtype: "float64", units: "1" },
    { name: "gfa", width: 1, dtype: "float64", units: "1" },
    { name: "iterations", width: 1, dtype: "uint16", units: "1" },
    { name: "status", width: 1, dtype: "uint8", units: "1" },
  ];
}

function filesOf(shBasis: ShBasis, shOrder: number): MapFile[] {
  const frame = shBasis === "mrtrix3" ? "in the scanner's frame" : "in the frame of the bvecs";
  return [
    {
      file: "csd_sh",
      field: "sh",
      description: `Fibre orientation distribution: spherical harmonic coefficients to order ${shOrder}, basis ${shBasis}, ${frame}`,
    },
    {
      file: "csd_gfa",
      field: "gfa",
      description: "Generalised fractional anisotropy of the fibre orientation distribution",
    },
    {
      file: "csd_iterations",
      field: "iterations",
      description: "Iterations until the set of constrained directions stayed the same",
    },
    {
      file: "csd_status",
      field: "status",
      description:
        "0 fitted, 1 not converged (values kept), 2 input not finite, 3 no signal, 4 singular; 6 crashed, 7 timed out, 255 outside the mask",
    },
  ];
}
