/** The report page: what a fit found, beside the truth where it is known. */
export { type BuildReportOptions, buildReport } from "./build.ts";
export {
  type ErrorRow,
  type ErrorTable,
  errorEntries,
  tissueClasses,
  type VoxelTruth,
} from "./errors.ts";
export type { ReportFit } from "./fit.ts";
export type {
  DirectionFigure,
  DisplayPicture,
  Figure,
  GlyphFigure,
  MapFigure,
  ReportInput,
  ReportReceipt,
  ReportSection,
} from "./input.ts";
export { renderReport } from "./page.ts";
export { type Grid, type Plane, type PlaneName, planeAt, planesThroughMask } from "./planes.ts";
export { encodePng, type Pixels } from "./png.ts";
export { type DisplaySlice, type MaskedGrid, summariseSlices } from "./slices.ts";
