/**
 * FSL gradient tables: a bval file of N numbers in any layout, a bvec file of 3 rows (or 3 columns)
 * of N numbers.
 */
import type { Hash } from "node:crypto";
import { InputError } from "../model.ts";
import type { GradientTable } from "./dwi.ts";
import type { InputFile } from "./inputFile.ts";
import { readContent } from "./inputFile.ts";

/** A gradient table of a hundred thousand volumes is smaller; a volume given by mistake is not. */
const maxTableBytes = 16 * 1024 * 1024;
/** How far the length of a vector may be from 1, as in DIPY. */
const unitTolerance = 1e-2;
const highB0Threshold = 200;
const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The numbers of a text table, line by line; commas count as blanks, `#` begins a comment. */
function parseRows(text: string, subject: string): number[][] {
  return text
    .replace(/^\uFEFF/, "")
    .split(/\r\n|\r|\n/)
    .map((line) =>
      line
        .replace(/#.*/, "")
        .split(/[\s,]+/)
        .filter((token) => token !== ""),
    )
    .filter((tokens) => tokens.length > 0)
    .map((tokens) => tokens.map((token) => parseNumber(token, subject)));
}

function parseNumber(token: string, subject: string): number {
  if (/^[+-]?nan$/i.test(token)) return Number.NaN;
  const value = Number(token);
  if (!number.test(token) || !Number.isFinite(value)) {
    throw new InputError(
      `${subject} holds "${printable(token)}" where a number should stand; give an FSL text file.`,
    );
  }
  return value;
}

function printable(token: string): string {
  const clean = token.replace(/[^\x20-\x7e]/g, "?");
  return clean.length > 20 ? `${clean.slice(0, 20)}...` : clean;
}

/** b-values in s/mm², N of them. Throws InputError on anything but numbers of 0 and above. */
export function parseBvals(text: string, subject: string): Float64Array {
  const bvals = Float64Array.from(parseRows(text, subject).flat());
  if (bvals.length === 0) throw new InputError(`${subject} is empty; it should hold the b-values.`);
  const wrong = bvals.findIndex((b) => !(b >= 0));
  if (wrong >= 0) {
    throw new InputError(
      `${subject} gives volume ${wrong} the b-value ${bvals[wrong]}; b-values are numbers of 0 and above (are the bval and bvec files swapped?).`,
    );
  }
  return bvals;
}

/** Directions, 3 numbers for each volume. A table of 3 x 3 is read by FSL's layout: one row each of x, y, z. */
export function parseBvecs(text: string, subject: string): Float64Array {
  const rows = parseRows(text, subject);
  if (rows.length === 0)
    throw new InputError(`${subject} is empty; it should hold the directions.`);
  const columns = rows[0].length;
  if (rows.some((row) => row.length !== columns)) {
    throw new InputError(
      `${subject} has rows of unequal length; it should hold 3 rows or 3 columns.`,
    );
  }
  if (rows.length === 3) {
    const [x, y, z] = rows;
    return Float64Array.from(x.flatMap((value, i) => [value, y[i], z[i]]));
  }
  if (columns === 3) return Float64Array.from(rows.flat());
  throw new InputError(
    `${subject} has ${rows.length} rows of ${columns} numbers; it should hold 3 rows or 3 columns.`,
  );
}

export interface TableSubjects {
  /** Begin the sentences of errors: `The bval file "x.bval"`. */
  readonly bval: string;
  readonly bvec: string;
}

/**
 * The gradient table of N volumes. Rules of DIPY's gradient_table: b at or below the threshold is b0
 * (its row becomes 0, NaN or not), other vectors are kept as they are but must be of length 1 within
 * 0.01. Throws InputError, naming the volume (counted from 0), on anything else.
 */
export function gradientTable(
  bvals: Float64Array,
  bvecs: Float64Array,
  b0Threshold: number,
  subjects: TableSubjects,
): GradientTable {
  if (!(b0Threshold >= 0)) {
    throw new InputError(`The b0 threshold is ${b0Threshold}; give a b-value of 0 or above.`);
  }
  if (bvecs.length !== 3 * bvals.length) {
    throw new InputError(
      `${subjects.bvec} has ${bvecs.length / 3} directions and ${subjects.bval} ${bvals.length} b-values; give the pair of one acquisition.`,
    );
  }
  const isB0 = Uint8Array.from(bvals, (b) => (b <= b0Threshold ? 1 : 0));
  const table = {
    bvals: bvals.map((b, i) => (isB0[i] === 1 ? 0 : b)),
    bvecs: bvecs.map((x, i) => (isB0[Math.floor(i / 3)] === 1 || Number.isNaN(x) ? 0 : x)),
    b0Threshold,
    isB0,
    given: givenTable(bvals, bvecs),
  };
  for (let i = 0; i < bvals.length; i++) {
    const length = lengthAt(table.bvecs, i);
    if (isB0[i] === 1 || Math.abs(length - 1) <= unitTolerance) continue;
    throw new InputError(
      `${subjects.bvec} gives volume ${i} (b = ${bvals[i]}) a direction of length ${Number(length.toPrecision(6))}; directions of volumes above b = ${b0Threshold} must have length 1.`,
    );
  }
  return table;
}

function lengthAt(bvecs: Float64Array, i: number): number {
  const [x, y, z] = [bvecs[3 * i], bvecs[3 * i + 1], bvecs[3 * i + 2]];
  return Math.sqrt(x * x + y * y + z * z);
}

/** The table as DIPY's design matrices see it: a b0 volume with a unit vector keeps its small b-value. */
function givenTable(
  bvals: Float64Array,
  bvecs: Float64Array,
): { bvals: Float64Array; bvecs: Float64Array } {
  const clean = bvecs.map((x) => (Number.isNaN(x) ? 0 : x));
  const isUnit = bvals.map((_, i) => (Math.abs(lengthAt(clean, i) - 1) <= unitTolerance ? 1 : 0));
  return {
    bvals: bvals.map((b, i) => b * isUnit[i]),
    bvecs: clean.map((x, i) => (isUnit[Math.floor(i / 3)] === 1 ? x : 0)),
  };
}

/** The table of the kept volumes only. */
export function selectVolumes(table: GradientTable, kept: Uint8Array): GradientTable {
  const one = (values: Float64Array) => values.filter((_, i) => kept[i] === 1);
  const three = (values: Float64Array) => values.filter((_, i) => kept[Math.floor(i / 3)] === 1);
  return {
    bvals: one(table.bvals),
    bvecs: three(table.bvecs),
    b0Threshold: table.b0Threshold,
    isB0: table.isB0.filter((_, i) => kept[i] === 1),
    given: table.given && { bvals: one(table.given.bvals), bvecs: three(table.given.bvecs) },
  };
}

/** What the user should hear of a table that works but is odd. */
export function gradientWarnings(table: GradientTable): string[] {
  const warnings: string[] = [];
  if (table.b0Threshold >= highB0Threshold) {
    warnings.push(
      `The b0 threshold of ${table.b0Threshold} is high: volumes up to that b-value count as b0.`,
    );
  }
  if (!table.isB0.includes(1)) {
    warnings.push(`No volume has a b-value at or below ${table.b0Threshold}, so there is no b0.`);
  }
  return warnings;
}

/** The text of a gradient file; its bytes go into `hash`. */
export async function readTableText(
  file: InputFile,
  hash: Hash,
  signal?: AbortSignal,
): Promise<string> {
  if (file.gzip || file.sizeBytes > maxTableBytes) {
    throw new InputError(`${file.subject} is not a gradient table; give an FSL text file.`);
  }
  const pieces: Buffer[] = [];
  for await (const piece of readContent(file, { hash, signal })) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces).toString("utf8");
}
