/** Which version of the wire two peers speak. */

/** Both ends included. */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** The highest version that both speak; undefined where there is none. */
export function commonVersion(ours: VersionRange, theirs: VersionRange): number | undefined {
  const version = Math.min(ours.max, theirs.max);
  return version >= Math.max(ours.min, theirs.min) ? version : undefined;
}

/** "2", or "2-4". */
export function formatVersions({ min, max }: VersionRange): string {
  return min === max ? String(min) : `${min}-${max}`;
}

/** Reads what `formatVersions` writes; undefined for anything else. */
export function parseVersions(text: string): VersionRange | undefined {
  const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(text);
  if (match === null) return undefined;
  const min = Number(match[1]);
  const max = Number(match[2] ?? match[1]);
  return min <= max ? { min, max } : undefined;
}

/** Why two peers cannot talk, and what to do: one sentence for logs and users, without its full stop. */
export function versionRefusal(ours: VersionRange, theirs: string): string {
  return `this side speaks protocol ${formatVersions(ours)}, the other ${theirs}: install the same version of Fascicle on both`;
}
