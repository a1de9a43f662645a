"""Times DIPY's fit of one case on one thread and prints {"voxels": n, "seconds": s}. Reading is not timed."""
import json
import sys
import time
import warnings

import nibabel as nib
import numpy as np
from dipy.core.gradients import gradient_table
from dipy.io.gradients import read_bvals_bvecs

warnings.filterwarnings("ignore")
model_name, stem, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = nib.load(f"{stem}/dwi.nii.gz").get_fdata()
bvals, bvecs = read_bvals_bvecs(f"{stem}/dwi.bval", f"{stem}/dwi.bvec")
gtab = gradient_table(bvals, np.nan_to_num(bvecs), b0_threshold=50)
voxels = np.repeat(data.reshape(-1, data.shape[-1]), repeats, axis=0)

if model_name == "csd":
    from dipy.reconst.csdeconv import ConstrainedSphericalDeconvModel

    evals = np.array([float(value) for value in sys.argv[4].split(",")])
    model = ConstrainedSphericalDeconvModel(gtab, (evals[:3], evals[3]), sh_order=8)
elif model_name.startswith("freewater"):
    from dipy.reconst.fwdti import FreeWaterTensorModel

    model = FreeWaterTensorModel(gtab, fit_method=model_name.split("-")[1].upper())
else:
    from dipy.reconst.dti import TensorModel

    model = TensorModel(gtab, fit_method=model_name.split("-")[1].upper())

begun = time.perf_counter()
model.fit(voxels.reshape(-1, 1, 1, voxels.shape[-1]))
print(json.dumps({"voxels": len(voxels), "seconds": time.perf_counter() - begun}))
