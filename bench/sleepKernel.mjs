// A fit that only sleeps: what it takes beyond its sleep is what the runtime costs. One voxel is one chunk.

export const kernelHash = () => "sleep-1";

export function createKernel(_name, { sleepMs }) {
  const word = new Int32Array(new SharedArrayBuffer(4));
  return {
    fit(_signals, _first, count, [value, status], outFirst) {
      for (let row = outFirst; row < outFirst + count; row++) {
        Atomics.wait(word, 0, 0, sleepMs);
        value[row] = row;
        status[row] = 0;
      }
    },
  };
}

/** The name by which the bench's own workers know this module. */
export const kernelName = "bench/sleepKernel";

/** A model of `chunks` voxels that sleep; `module` is where its kernel is found. */
export function sleepModel(chunks, sleepMs, module = import.meta.url) {
  return {
    name: "sleep",
    signals: {
      voxelCount: chunks,
      width: 1,
      dtype: "float32",
      voxelsPerSlab: chunks,
      slabs: [new SharedArrayBuffer(chunks * 4)],
    },
    outputs: [
      { name: "value", width: 1, dtype: "float64", units: "1" },
      { name: "status", width: 1, dtype: "uint8", units: "1" },
    ],
    kernel: { module, name: "sleep", hash: kernelHash(), parameters: { sleepMs } },
  };
}

/** Throws where a voxel of the fit is not the one it should be. */
export function checkSlept({ maps }) {
  for (const [voxel, value] of maps.value.data.entries()) {
    if (value !== voxel) throw new Error(`voxel ${voxel} holds ${value}`);
  }
}
