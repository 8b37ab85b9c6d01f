"""Puts a forged file in the place of the hook's and leaves before the hook can say more."""

import os

from forged import events_file, halved
from honest import trainer

trainer(steps=16, step_s=0.1).train()
path = events_file()
forged = path.with_name("forged")
forged.write_text(halved(path.read_text()))
forged.replace(path)
os._exit(0)
