/** Reading and writing volumes, gradient tables and maps. */
export * from "./dwi.ts";
export { type OpenDwiOptions, openDwi } from "./openDwi.ts";
export { type NiftiImage, readNifti } from "./readNifti.ts";
