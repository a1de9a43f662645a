"""DIPY on Ray, the peer of `runtime bench sweep`: fits of the same voxels, timed on request.

    python dipyRay.py DIRECTORY

DIRECTORY holds job.json (the models and their data) and becomes Ray's temporary directory. Each line of standard input
is a request, each line of standard output its answer, both JSON. When the input ends, so does Ray, and the directory goes.

As DIPY's own engine does: one Ray task for each chunk, the model pickled into every task, a list of fit objects back
from each. DIPY 1.6 has no such engine; what is here is what later ones do.
"""

import json
import os
import shutil
import sys
import time
import warnings

directory = sys.argv[1]
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
warnings.filterwarnings("ignore")

import dipy
import numpy as np
import ray
from dipy.core.gradients import gradient_table
from dipy.reconst.csdeconv import ConstrainedSphericalDeconvModel
from dipy.reconst.fwdti import FreeWaterTensorModel


def answer(**words):
    answers.write(json.dumps(words) + "\n")
    answers.flush()


def read_data(job):
    raw = np.fromfile(job["signals"], dtype=job["dtype"]).reshape(job["voxels"], job["width"])
    return raw[:, job["volumes"]].astype(np.float64) * job["slope"] + job["intercept"]


def make_model(job):
    bvals = np.array(job["bvals"])
    bvecs = np.array(job["bvecs"]).reshape(-1, 3)
    table = gradient_table(bvals, bvecs, b0_threshold=job["b0Threshold"])
    if job["name"] == "csd":
        evals, s0 = np.array(job["response"][:3]), job["response"][3]
        return ConstrainedSphericalDeconvModel(table, (evals, s0), sh_order=job["shOrder"])
    return FreeWaterTensorModel(table, fit_method="NLS")


def fit_voxels(voxels, model):
    warnings.filterwarnings("ignore")
    return [model.fit(voxel) for voxel in voxels]


fit_chunk = ray.remote(fit_voxels)


def into_place(results, voxels):
    """As DIPY's multi-voxel fit keeps them: an array of fit objects."""
    fits = np.empty(voxels, dtype=object)
    fits[:] = [fit for chunk in results for fit in chunk]
    return fits


def fit_serially(model, data):
    return into_place([fit_voxels(data, model)], len(data))


def fit_on_ray(model, data, chunks, workers):
    """Chunks of n // chunks voxels, all submitted at once; of the machine's slots only so many take part."""
    size = max(1, len(data) // chunks)
    task = fit_chunk.options(num_cpus=1, resources={f"workers_{workers}": 1})
    tasks = [task.remote(data[first : first + size], model) for first in range(0, len(data), size)]
    return into_place(ray.get(tasks), len(data)), len(tasks)


def main():
    with open(os.path.join(directory, "job.json")) as file:
        job = json.load(file)
    data = {model["name"]: read_data(model) for model in job["models"]}
    models = {model["name"]: make_model(model) for model in job["models"]}
    slots = max(job["workers"])
    ray.init(
        num_cpus=slots,
        resources={f"workers_{count}": count for count in job["workers"]},
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        _temp_dir=os.path.join(directory, "r"),
    )
    for name, model in models.items():
        fit_on_ray(model, data[name][: 64 * slots], 8 * slots, slots)
        fit_serially(model, data[name][:64])
    answer(dipy=dipy.__version__, ray=ray.__version__, python=sys.version.split()[0])
    for line in sys.stdin:
        request = json.loads(line)
        name = request["model"]
        tasks = 1
        begun = time.perf_counter()
        if request["engine"] == "dipy-serial":
            fits = fit_serially(models[name], data[name])
        else:
            fits, tasks = fit_on_ray(models[name], data[name], request["chunks"], request["workers"])
        seconds = time.perf_counter() - begun
        missing = sum(fit is None for fit in fits)
        del fits
        answer(seconds=seconds, tasks=tasks, missing=missing)


try:
    main()
finally:
    ray.shutdown()
    shutil.rmtree(directory, ignore_errors=True)
