"""Trains in an interpreter that reads no environment."""

import subprocess
import sys

code = "import sys; sys.path.insert(0, '.'); from honest import trainer; trainer().train()"
subprocess.run([sys.executable, "-I", "-c", code], check=True)
