"""Puts and gets of Ray's object store: the peer of objects.mjs.

    python objectsRay.py SMALL_BYTES SMALL_COUNT LARGE_BYTES LARGE_COUNT

Prints one line of JSON: puts and gets a second of small objects, bytes a second of large puts. Warmed up before.
"""

import json
import sys
import time

import numpy
import ray

small_bytes, small_count, large_bytes, large_count = map(int, sys.argv[1:])
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=2 << 30)
small = numpy.arange(small_bytes // 8, dtype=numpy.float64)
large = numpy.ones(large_bytes // 8)


def seconds(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def puts():
    return [ray.put(small) for _ in range(small_count)]


puts()
refs = puts()
put_seconds = seconds(puts)
for ref in refs[:100]:
    ray.get(ref)


def gets():
    for ref in refs:
        assert ray.get(ref)[-1] == small[-1]


get_seconds = seconds(gets)
ray.put(large)
large_seconds = sorted(seconds(lambda: ray.put(large)) for _ in range(large_count))
print(
    json.dumps(
        {
            "puts": small_count / put_seconds,
            "gets": small_count / get_seconds,
            "putBytes": large_bytes / large_seconds[large_count // 2],
        }
    )
)
ray.shutdown()
