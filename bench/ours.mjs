// Times our fit of one case on one thread and prints {"voxels": n, "seconds": s}. Reading is not timed.
import { csd, dti, freeWater, openDwi } from "@fascicle/models";
import { fitChunked } from "@fascicle/runtime";

const [name, stem, repeatsText, response] = process.argv.slice(2);
const repeats = Number(repeatsText);
const dwi = await openDwi({
  dwi: `${stem}/dwi.nii.gz`,
  bval: `${stem}/dwi.bval`,
  bvec: `${stem}/dwi.bvec`,
});

/** The same voxels several times over, so that short cases take long enough to be timed. */
function repeated(signals) {
  const [slab] = signals.slabs;
  const many = new SharedArrayBuffer(slab.byteLength * repeats);
  for (let i = 0; i < repeats; i++) {
    new Uint8Array(many).set(new Uint8Array(slab), i * slab.byteLength);
  }
  const voxelCount = signals.voxelCount * repeats;
  return { ...signals, voxelCount, voxelsPerSlab: voxelCount, slabs: [many] };
}

const [kind, method] = name.split("-");
const bind = {
  csd: () => csd(dwi, { response: response?.split(",").map(Number) }),
  freewater: () => freeWater(dwi, { method }),
  dti: () => dti(dwi, { method }),
};
const model = { ...bind[kind](), signals: repeated(dwi.signals), extend: undefined };
const fit = await fitChunked(model, 1, { engine: "serial" });
console.log(
  JSON.stringify({ voxels: model.signals.voxelCount, seconds: fit.receipt.seconds.compute }),
);
