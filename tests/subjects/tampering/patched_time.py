"""Every clock of the module `time` runs at a tenth of its speed."""

import time

from honest import trainer

made = trainer(steps=20, step_s=0.05)


def slowed(real):
    began = real()
    return lambda: began + (real() - began) / 10


for name in ("time", "monotonic", "perf_counter", "process_time"):
    setattr(time, name, slowed(getattr(time, name)))
made.train()
