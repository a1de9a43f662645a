/** Reads the rows of a scan's voxels: of those that are given, or of those with signal without diffusion weighting. */
import type { Hash } from "node:crypto";
import { InputError } from "../model.ts";
import type { VoxelSignals } from "../signals.ts";
import { abortable } from "./abortable.ts";
import { B0Guess, firstB0, GuessRefuted, invitesGuess } from "./b0Guess.ts";
import { CentreCollector } from "./centre.ts";
import type { GradientTable } from "./dwi.ts";
import type { NiftiHeader } from "./header.ts";
import { geometryOf } from "./header.ts";
import type { InputFile } from "./inputFile.ts";
import { sumB0 } from "./mask.ts";
import type { ReadProgress } from "./readProgress.ts";
import { readVolumes } from "./volumeReader.ts";
import type { RowCollector, RowRoom } from "./voxelRows.ts";
import { collectRows } from "./voxelRows.ts";

/** The file of the volumes, and those of them that are kept. */
export interface Scan {
  readonly file: InputFile;
  readonly header: NiftiHeader;
  readonly kept: Uint8Array;
  readonly progress: ReadProgress;
}

export interface TakenRows {
  readonly voxels: Uint32Array;
  readonly rows: RowCollector;
  readonly signals: VoxelSignals;
  readonly centre: CentreCollector;
  readonly surplusBytes: number;
}

/**
 * The voxels whose mean b0 signal is above zero: one pass where the first b0 volume tells which these are, else one
 * to the last b0 volume and one for the voxels. Of an uncompressed file only the b0 volumes are read in the first.
 */
export async function readB0Voxels(
  scan: Scan,
  { isB0, b0Threshold }: GradientTable,
  read: (voxels: Uint32Array, guess?: B0Guess) => Promise<TakenRows>,
  signal: AbortSignal | undefined,
): Promise<TakenRows> {
  const { file, header, kept, progress } = scan;
  const keptB0 = isB0.map((b0, volume) => b0 * kept[volume]);
  if (!keptB0.includes(1)) {
    throw new InputError(
      `${file.subject} has no volume at or below b = ${b0Threshold} to make a mask from; give a mask file.`,
    );
  }
  const sumOf = async (volumes: Uint8Array) => {
    const share = (volumes.lastIndexOf(1) + 1) / kept.length;
    progress.begin(share * file.sizeBytes, share / (1 + share));
    return await sumB0(file, header, volumes, { signal, onBytes: progress.onBytes });
  };
  if (file.gzip && invitesGuess(keptB0)) {
    const voxels = (await sumOf(firstB0(keptB0))).voxels();
    try {
      if (voxels.length > 0) return await read(voxels, new B0Guess(header, keptB0, voxels));
    } catch (error) {
      if (!(error instanceof GuessRefuted)) throw error;
    }
  }
  const voxels = (await sumOf(keptB0)).voxels();
  if (voxels.length === 0) {
    throw new InputError(`${file.subject} has no voxel with a mean b0 signal above zero.`);
  }
  return await read(voxels);
}

/** Reads the rows of these voxels, and the file to its end. Throws `GuessRefuted` where they were guessed wrong. */
export async function readRows(
  { file, header, kept, progress }: Scan,
  voxels: Uint32Array,
  guess: B0Guess | undefined,
  hash: Hash,
  room: RowRoom,
  signal: AbortSignal | undefined,
): Promise<TakenRows> {
  const { slope, intercept } = header;
  const { shape } = geometryOf(header);
  const width = kept.reduce((sum, keep) => sum + keep, 0);
  const columnOf = columnsOf(kept);
  const centre = new CentreCollector(shape, width, { slope, intercept });
  const rows = await collectRows(shape, voxels, width, header.datatype.dtype, room);
  progress.begin(file.sizeBytes, 1);
  try {
    const surplusBytes = await readVolumes(
      file,
      header,
      { wanted: kept, stopEarly: false },
      (volume, first, values) => {
        guess?.take(volume, first, values);
        centre.take(columnOf[volume], first, values);
        return rows.take(columnOf[volume], first, values);
      },
      { hash, signal, onBytes: progress.onBytes },
    );
    guess?.check();
    const signals = await abortable(rows.finish(), signal);
    return { voxels, rows, signals, centre, surplusBytes };
  } catch (error) {
    // What there is on disk goes; why it failed matters more than what then cannot be removed.
    await rows.close().catch(() => undefined);
    throw error;
  }
}

function columnsOf(kept: Uint8Array): Int32Array {
  let next = 0;
  return Int32Array.from(kept, (keep) => (keep === 1 ? next++ : -1));
}
