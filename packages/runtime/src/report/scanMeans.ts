/** Means over volumes of some voxels of a scan, wherever its signals lie. */
import type { Dwi } from "@fascicle/models";
import { readRows } from "@fascicle/object-store";

/** Signals are read in stretches of at most this many bytes. */
const stretchBytes = 8 << 20;

/**
 * For each group of volumes the mean signal of each voxel: one number for each of `rows` (ascending places among the
 * masked voxels).
 */
export async function meansOverVolumes(
  { signals, scale }: Dwi,
  rows: Uint32Array,
  groups: readonly (readonly number[])[],
): Promise<Float64Array[]> {
  const means = groups.map(() => new Float64Array(rows.length));
  const stretchRows = Math.max(1, Math.floor(stretchBytes / 8 / signals.width));
  for (let first = 0; first < rows.length; ) {
    let next = first + 1;
    while (next < rows.length && rows[next] < rows[first] + stretchRows) next++;
    const samples = await readRows(signals, rows[first], rows[next - 1] + 1);
    for (let i = first; i < next; i++) {
      const at = (rows[i] - rows[first]) * signals.width;
      for (const [group, volumes] of groups.entries()) {
        let sum = 0;
        for (const volume of volumes) sum += samples[at + volume];
        means[group][i] = scale.slope * (sum / volumes.length) + scale.intercept;
      }
    }
    first = next;
  }
  return means;
}
