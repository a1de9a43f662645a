import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { centreBox } from "./centre.ts";

describe("centreBox", () => {
  it("is DIPY's cuboid: both ends, whole where the radius does not fit", () => {
    expect(centreBox([10, 20, 21])).toEqual({ start: [0, 0, 0], shape: [10, 20, 21] });
    expect(centreBox([145, 174, 22])).toEqual({ start: [62, 77, 1], shape: [21, 21, 21] });
    expect(centreBox([1, 2, 11])).toEqual({ start: [0, 0, 0], shape: [1, 2, 11] });
  });

  it.skipIf(spawnSync("/usr/bin/python3", ["-c", "import dipy"]).status !== 0)(
    "agrees with DIPY's own functions for every length up to 64",
    () => {
      const script = `
import numpy as np, json
from dipy.reconst.utils import _roi_in_volume, _mask_from_roi
out = []
for n in range(1, 65):
    shape = np.array([n, 23, 23]); c = shape // 2
    m = _mask_from_roi(shape, c, _roi_in_volume(shape, c, np.array([10, 10, 10])))
    i = np.nonzero(m.any(axis=(1, 2)))[0]
    out.append([int(i[0]), int(len(i)), int(m.sum())])
print(json.dumps(out))`;
      const { stdout } = spawnSync("/usr/bin/python3", ["-c", script], { encoding: "utf8" });
      const ours = Array.from({ length: 64 }, (_, i) => {
        const { start, shape } = centreBox([i + 1, 23, 23]);
        return [start[0], shape[0], shape[0] * shape[1] * shape[2]];
      });
      expect(ours).toEqual(JSON.parse(stdout));
    },
  );
});
