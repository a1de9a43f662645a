"""One map of tasks that only sleep, on Ray: the peer of sleepPeer.mjs.

    python sleepRay.py WORKERS TASKS SLEEP_MS [SLEEP_MS ...]

Prints one line of JSON: seconds by milliseconds of sleep. Warmed up before: all its workers are there and have run.
"""

import json
import sys
import time

import ray

workers, tasks = int(sys.argv[1]), int(sys.argv[2])
ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, object_store_memory=1 << 28)


@ray.remote(num_cpus=1)
def nap(index, seconds):
    time.sleep(seconds)
    return index


def run(count, seconds):
    begun = time.perf_counter()
    slept = ray.get([nap.remote(index, seconds) for index in range(count)])
    assert slept == list(range(count))
    return time.perf_counter() - begun


for _ in range(2):
    run(workers * 50, 0.02)
print(json.dumps({ms: run(tasks, int(ms) / 1000) for ms in sys.argv[3:]}))
ray.shutdown()
