/** Reading and writing volumes, gradient tables and maps. */
export type { NiftiDtype } from "./datatype.ts";
export * from "./dwi.ts";
export { type OpenDwiOptions, openDwi } from "./openDwi.ts";
export { type NiftiImage, readNifti } from "./readNifti.ts";
export { type SaveableFit, type SaveMapsOptions, saveMaps } from "./saveMaps.ts";
export { checkWritable } from "./stagingDirectory.ts";
export { type WriteNiftiOptions, type WrittenDtype, writeNifti } from "./writeNifti.ts";
