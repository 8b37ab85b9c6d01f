"""Ends the process that keeps its time."""

import os
import signal
import time

from honest import trainer

trainer(steps=3).train()
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(60)
