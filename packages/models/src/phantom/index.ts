/** A made-up brain whose truth is known. */
export {
  type PhantomOptions,
  type ResolvedPhantomOptions,
  resolvePhantomOptions,
} from "./options.ts";
export {
  makePhantom,
  type Phantom,
  type PhantomTruth,
  phantomDiffusivities,
  phantomSignalsAtB0,
  phantomSteps,
  phantomVoxelSize,
} from "./phantom.ts";
export {
  type GradientScheme,
  gradientScheme,
  type PhantomScheme,
  phantomSchemes,
} from "./scheme.ts";
export { measureSlice, measureVolume, measureVoxel, phantomSignal } from "./signal.ts";
export { type PhantomTruthMaps, phantomDirectionVolume, phantomTruthMaps } from "./truth.ts";
export { phantomFiles, type WritePhantomOptions, writePhantom } from "./write.ts";
