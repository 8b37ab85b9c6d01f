"""Is nicer than it was started."""

import os

from honest import trainer

os.nice(5)
trainer(steps=12, step_s=0.1).train()
