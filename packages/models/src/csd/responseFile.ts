/** Response files of MRtrix3: zonal harmonics, a row for each shell. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { InputError } from "../model.ts";

/** How far a b-value of the file's `Shells` line may be from the shell's own, s/mm². */
const SHELL_TOLERANCE = 100;
const mostBytes = 1024 * 1024;

export interface ResponseRows {
  /** Zonal harmonic coefficients (l = 0, 2, 4, ...) of each row. */
  readonly rows: readonly (readonly number[])[];
  /** The b-values that the file's `# Shells:` line gives the rows. */
  readonly shells?: readonly number[];
}

export interface ResponseFile extends ResponseRows {
  /** Begins the sentences of errors. */
  readonly subject: string;
  readonly file: string;
  readonly sha256: string;
}

/** Throws InputError on a file that is not there or holds no such table. */
export function readResponseFile(path: string): ResponseFile {
  const subject = `The response file "${path}"`;
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new InputError(
      reason === "ENOENT"
        ? `${subject} does not exist; give a file, "auto" or E1,E2,E3,S0 as the response.`
        : `${subject} cannot be read (${reason}); give a text file of MRtrix3.`,
    );
  }
  if (bytes.length > mostBytes) {
    throw new InputError(`${subject} is too large for a response; give a text file of MRtrix3.`);
  }
  const table = parseResponse(bytes.toString("utf8"), subject);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { ...table, subject, file: basename(path), sha256 };
}

/** Numbers in rows, `#` comments, among them `# Shells: 0,1000,3000`. */
export function parseResponse(text: string, subject: string): ResponseRows {
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\r|\n/);
  const named = lines.map((line) => /^\s*#\s*shells?\s*:(.*)$/i.exec(line)).find((match) => match);
  const shells = named?.[1]
    .split(/[\s,]+/)
    .filter((token) => token !== "")
    .map((token) => Number(token));
  const rows = lines
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "")
    .map((line) => line.split(/[\s,]+/).map(Number));
  if (rows.length === 0 || rows.some((row) => !row.every(Number.isFinite))) {
    throw new InputError(
      `${subject} does not hold rows of numbers; give a response file of MRtrix3 (zonal harmonic coefficients).`,
    );
  }
  if (shells !== undefined && (shells.length !== rows.length || !shells.every(Number.isFinite))) {
    throw new InputError(
      `${subject} names ${shells.length} shells for ${rows.length} rows; its "# Shells:" line must give one b-value for each row.`,
    );
  }
  return { rows, shells };
}

/** The row for a shell, and that for b = 0 where the file has one. Throws InputError where none can be told to be it. */
export function responseRowFor(
  table: ResponseRows & { readonly subject: string },
  bval: number | undefined,
): { row: readonly number[]; b0Row?: readonly number[] } {
  const { rows, shells, subject } = table;
  if (shells === undefined) {
    if (rows.length === 1) return { row: rows[0] };
    throw new InputError(
      `${subject} has ${rows.length} rows and no "# Shells:" line that tells their b-values; give a file with the row of the shell alone.`,
    );
  }
  const b0Row = rows[shells.findIndex((b) => b <= 50)];
  if (bval === undefined) {
    const weighted = rows.filter((_, i) => shells[i] > 50);
    if (weighted.length === 1) return { row: weighted[0], b0Row };
    throw new InputError(
      `${subject} has a row for each of ${weighted.length} shells, but the fit of all shells takes one response; choose a shell.`,
    );
  }
  const distances = shells.map((b) => Math.abs(b - bval));
  const nearest = Math.min(...distances);
  if (nearest > SHELL_TOLERANCE) {
    throw new InputError(
      `${subject} has rows for b = ${shells.join(", ")} and none within ${SHELL_TOLERANCE} of the shell at b = ${bval}; choose another shell or response.`,
    );
  }
  return { row: rows[distances.indexOf(nearest)], b0Row };
}
