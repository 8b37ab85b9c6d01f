"""Forges the hook's own file in place, and leaves before the hook can say more."""

import os

from forged import events_file, halved
from honest import trainer

trainer(steps=36, step_s=0.1).train()
path = events_file()
with path.open("r+") as file:
    text = halved(file.read())
    file.seek(0)
    file.write(text)
    file.truncate()
os._exit(0)
