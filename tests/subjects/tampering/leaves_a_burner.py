"""Leaves a busy process behind, in a session of its own, for the run that comes next."""

import subprocess
import sys

from honest import trainer

trainer().train()
subprocess.run(["setsid", "--fork", sys.executable, "-S", "-c", "while True: pass"], check=True)
