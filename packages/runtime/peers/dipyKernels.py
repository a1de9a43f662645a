"""Fits a case of `runtime bench kernels` with DIPY as often as each line of stdin says; answers with the seconds.

The first fit's values are left in dipy.f64, voxel after voxel. Reading and writing are not timed.
"""
import inspect
import json
import sys
import time
import warnings

import numpy as np
from dipy.core.gradients import gradient_table

warnings.filterwarnings("ignore")
directory = sys.argv[1]
with open(f"{directory}/case.json") as file:
    case = json.load(file)
choice = case["choice"]
# DIPY's csd takes whatever is not b=0: what we leave out (other shells) is left out here.
kept = case["volumes"]
signals = np.fromfile(f"{directory}/signals.f64").reshape(-1, case["width"])
signals = np.ascontiguousarray(signals[:, kept])
bvals = np.array(case["bvals"])[kept]
bvecs = np.array(case["bvecs"]).reshape(-1, 3)[kept]
table = gradient_table(bvals, bvecs=bvecs, b0_threshold=case["b0Threshold"])

if choice["model"] == "csd":
    from dipy.reconst.csdeconv import ConstrainedSphericalDeconvModel

    # The option has another name in newer versions.
    options = inspect.signature(ConstrainedSphericalDeconvModel.__init__).parameters
    order = "sh_order_max" if "sh_order_max" in options else "sh_order"
    response = np.array(choice["response"])
    words = {order: case["shOrder"]}
    model = ConstrainedSphericalDeconvModel(table, (response[:3], response[3]), **words)
    values = "shm_coeff"
elif choice["model"] == "freewater":
    from dipy.reconst.fwdti import FreeWaterTensorModel

    model = FreeWaterTensorModel(table, fit_method=choice["method"].upper())
    values = "model_params"
else:
    from dipy.reconst.dti import TensorModel

    # Ours is a constant, so that a voxel's answer does not depend on others.
    model = TensorModel(table, fit_method=choice["method"].upper(), min_signal=1e-4)
    values = "model_params"

is_first = True
for line in sys.stdin:
    data = np.tile(signals, (int(line), 1)).reshape(-1, 1, 1, signals.shape[1])
    begun = time.perf_counter()
    fit = model.fit(data)
    seconds = time.perf_counter() - begun
    if is_first:
        getattr(fit, values)[: len(signals), 0, 0].astype(float).tofile(f"{directory}/dipy.f64")
        is_first = False
    print(json.dumps({"seconds": seconds}), flush=True)
