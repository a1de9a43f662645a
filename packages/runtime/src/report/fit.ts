/** A finished fit as far as a report needs it: a `FitResult` of the runtime is one. */
import type { DwiModel, FittedField } from "@fascicle/models";
import type { ReportReceipt } from "./input.ts";

export interface ReportFit {
  readonly model: DwiModel;
  readonly maps: Readonly<Record<string, FittedField>>;
  readonly receipt?: ReportReceipt;
}
