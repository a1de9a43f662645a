// A kernel of next to no cost: what a fit of it takes is what the runtime costs.

export const kernelHash = () => "free-1";

export function createKernel() {
  return {
    fit(signals, first, count, [value, status], outFirst) {
      for (let i = 0; i < count; i++) {
        value[outFirst + i] = signals[first + i];
        status[outFirst + i] = 0;
      }
    },
  };
}

/** The name by which the benches' own workers know this module. */
export const kernelName = "bench/chunkKernel";

/** A model of so many voxels whose value is their number; `module` is where its kernel is found. */
export function freeModel(voxels, module = import.meta.url) {
  const slab = new SharedArrayBuffer(voxels * 4);
  new Float32Array(slab).forEach((_, voxel, values) => {
    values[voxel] = voxel;
  });
  return {
    name: "free",
    signals: {
      voxelCount: voxels,
      width: 1,
      dtype: "float32",
      voxelsPerSlab: voxels,
      slabs: [slab],
    },
    outputs: [
      { name: "value", width: 1, dtype: "float64", units: "1" },
      { name: "status", width: 1, dtype: "uint8", units: "1" },
    ],
    kernel: { module, name: "free", hash: kernelHash(), parameters: {} },
  };
}

/** Throws where a voxel of the fit is not the one it should be. */
export function checkFree({ maps }) {
  for (const [voxel, value] of maps.value.data.entries()) {
    if (value !== voxel) throw new Error(`voxel ${voxel} holds ${value}`);
  }
}
