"""``bench run`` with two local workers against a serial ``dvc repro``."""

from __future__ import annotations

import time


def test_it(serial, fresh):
    t = time.time()
    print(fresh.bench("run", "--jobs", "2"))
    print(time.time() - t)
    t = time.time()
    print(fresh.bench("run", "--jobs", "2"))
    print(time.time() - t)
    a, b = serial.results(), fresh.results()
    assert a == b
    (open("/tmp/a.lock", "w")).write(serial.lock())
    (open("/tmp/b.lock", "w")).write(fresh.lock())
    t = time.time()
    print(fresh.repro())
    print(time.time() - t)
