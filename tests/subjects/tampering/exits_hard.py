"""Is gone before anything at its end can run."""

import os

from honest import trainer

trainer().train()
os._exit(0)
