"""The hook's own clock runs at a third of its speed, wherever a name of the hook leads to it."""

import sys
import time

from honest import trainer

real, began = time.monotonic, time.monotonic()


def slow():
    return began + (real() - began) / 3


for name, module in list(sys.modules.items()):
    if name.startswith("_paceline_hook") and hasattr(module, "now"):
        module.now = slow
trainer(steps=30, step_s=0.1).train()
