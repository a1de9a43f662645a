/** What a fit is, in words: a ledger keeps them beside its hashes, so that a fit that does not match it learns why. */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { FitIdentity, FittableModel } from "./fitIdentity.ts";

const words = z.record(z.string(), z.string());
const wordsOfPart = z.object({
  /** Values by name. */
  values: words,
  /** Hashes of what is not said in a word, by name. */
  digests: words,
});

export const descriptionSchema = z.object({ data: wordsOfPart, options: wordsOfPart });

export type FitDescription = z.infer<typeof descriptionSchema>;

type WordsOfPart = z.infer<typeof wordsOfPart>;

/** A fit as far as it can be compared: ledgers of earlier versions have no description. */
export interface DescribedFit {
  readonly parts: FitIdentity["parts"];
  readonly description?: FitDescription | undefined;
}

export function describeFit(model: FittableModel, voxelTimeoutSeconds?: number): FitDescription {
  const inputs = Array.isArray(model.dwi?.inputs) ? model.dwi.inputs : [];
  const files = (inputs as { role?: string; sha256?: string }[]).map(
    ({ role, sha256 }) => [`${role} file`, String(sha256)] as const,
  );
  const data = wordsOf(model.dwi?.selection);
  const options = wordsOf(model.options);
  const timeout = voxelTimeoutSeconds === undefined ? "none" : `${voxelTimeoutSeconds} s`;
  return {
    data: { ...data, digests: { ...Object.fromEntries(files), ...data.digests } },
    options: { ...options, values: { ...options.values, "voxel timeout": timeout } },
  };
}

/** What the fit of a ledger has other than this one of the same model: `max b 2100, here none; another mask file`. */
export function differenceOf(theirs: DescribedFit, ours: DescribedFit): string {
  const isOther = (part: keyof FitIdentity["parts"]) => theirs.parts[part] !== ours.parts[part];
  const named = (part: keyof FitDescription) =>
    isOther(part) ? namedDifferences(theirs.description?.[part], ours.description?.[part]) : [];
  const data = named("data");
  const options = named("options");
  if (isOther("data") && data.length === 0) {
    data.push("another scan, table, mask or choice of volumes");
  }
  // Other data make other parameters: these are nobody's options.
  if (isOther("options") && options.length === 0 && !isOther("data")) {
    options.push("another set of options");
  }
  const version = isOther("version") ? ["another version of Fascicle"] : [];
  return [...version, ...data, ...options].join("; ");
}

function namedDifferences(theirs?: WordsOfPart, ours?: WordsOfPart): string[] {
  if (theirs === undefined || ours === undefined) return [];
  const differing = (kind: keyof WordsOfPart) =>
    Object.keys(ours[kind]).filter((name) => {
      const value = theirs[kind][name];
      return value !== undefined && value !== ours[kind][name];
    });
  return [
    ...differing("values").map(
      (name) => `${name} ${theirs.values[name]}, here ${ours.values[name]}`,
    ),
    ...differing("digests").map((name) => `another ${name}`),
  ];
}

function wordsOf(options: unknown): WordsOfPart {
  const values: Record<string, string> = {};
  const digests: Record<string, string> = {};
  for (const [name, value] of Object.entries(options ?? {})) {
    if (isList(value)) values[spaced(name)] = value.join(" and ");
    else if (value === null) values[spaced(name)] = "none";
    else if (typeof value === "object") digests[spaced(name)] = digestOf(value);
    else values[spaced(name)] = String(value);
  }
  return { values, digests };
}

const isList = (value: unknown): value is readonly (string | number)[] =>
  Array.isArray(value) && value.every((entry) => typeof entry !== "object");

const digestOf = (value: object) =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex");

/** `maxB` as `max b`, which is the option without its dashes. */
const spaced = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
