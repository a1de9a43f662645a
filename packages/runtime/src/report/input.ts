/** What a report page shows: plain data, ready to be drawn. */
import type { ColourRamp } from "./colours.ts";
import type { ErrorTable } from "./errors.ts";
import type { Plane } from "./planes.ts";
import type { Pixels } from "./png.ts";
import type { DisplaySlice } from "./slices.ts";

/** Slices of one quantity; with a truth, in two rows. */
export interface MapFigure {
  readonly kind: "map";
  /** Short name, such as FA. */
  readonly name: string;
  readonly description: string;
  readonly units: string;
  /** Values shown as the ramp's two ends. */
  readonly window: readonly [number, number];
  readonly ramp: ColourRamp;
  readonly fitted: readonly DisplaySlice[];
  readonly truth?: readonly DisplaySlice[];
}

/** Pictures whose colours say directions: red left-right, green front-back, blue up-down. */
export interface DirectionFigure {
  readonly kind: "directions";
  readonly name: string;
  readonly description: string;
  readonly fitted: readonly DisplayPicture[];
  readonly truth?: readonly DisplayPicture[];
}

export interface DisplayPicture {
  readonly plane: Plane;
  readonly pixels: Pixels;
}

/** A line through a voxel, in units of voxels from the picture's top left corner. */
export interface Stick {
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
}

/** FODs of a small region, large. */
export interface GlyphFigure {
  readonly kind: "glyphs";
  readonly name: string;
  readonly description: string;
  readonly plane: Plane;
  readonly columns: number;
  readonly rows: number;
  readonly pixels: Pixels;
  /** True directions, drawn over the picture and switched off by the reader if they are in the way. */
  readonly truth?: readonly Stick[];
}

export type Figure = MapFigure | DirectionFigure | GlyphFigure;

/** The efficiency receipt's fields that a page shows; a `Receipt` of the runtime is one. */
export interface ReportReceipt {
  readonly engine?: string;
  readonly voxels?: number;
  readonly chunks?: number;
  readonly workers?: number;
  readonly physicalCores?: number;
  readonly seconds?: Readonly<Record<string, number>>;
  readonly efficiency?: number;
  readonly voxelsPerSecond?: number;
  readonly attempts?: Readonly<Record<string, number>>;
  readonly peakBytes?: Readonly<Record<string, number>>;
  readonly bytesLeft?: number;
  readonly voxelsByStatus?: Readonly<Record<string, number>>;
}

/** One model's part of the page, or the input's. */
export interface ReportSection {
  readonly title: string;
  /** One or two sentences under the title. */
  readonly lead: string;
  /** In reading order; a table follows the figure that it measures. */
  readonly items: readonly (Figure | ErrorTable)[];
  readonly receipt?: ReportReceipt;
  readonly warnings?: readonly string[];
}

export interface ReportInput {
  readonly title: string;
  readonly lead: string;
  /** The most important numbers, shown large. */
  readonly facts: readonly { readonly label: string; readonly value: string }[];
  readonly sections: readonly ReportSection[];
  /** Where everything comes from: inputs, options, commands, versions. */
  readonly provenance: readonly {
    readonly heading: string;
    readonly rows: readonly { readonly label: string; readonly value: string }[];
  }[];
}
