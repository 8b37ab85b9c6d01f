"""A subject that measures itself: writes the lines of schema 1 to the file that PACELINE_EVENTS names."""

import json
import os
import time

with open(os.environ["PACELINE_EVENTS"], "a") as file:

    def write(kind, **fields):
        file.write(json.dumps({"kind": kind, **fields}) + "\n")

    write("start", schema=1, pid=os.getpid(), at=time.monotonic())
    prepared = time.monotonic()
    for n in (1, 2, 3):
        begin = time.monotonic()
        time.sleep(0.05)
        write("batch", step=n, rows=2, real=10, padded=12, supervised=9)
        write("step", n=n, begin=begin, end=time.monotonic(), loss=3.0 - n)
    trained = time.monotonic()
    write("phase", name="first", begin=prepared, end=prepared + 0.05)
    write("phase", name="train", begin=prepared + 0.05, end=trained)
    write("end", steps=3)
with open(os.environ["PACELINE_CHOICES"], "a") as file:
    file.write(json.dumps({"name": "kernel", "requested": "fused", "used": "plain", "why": "a test"}) + "\n")
