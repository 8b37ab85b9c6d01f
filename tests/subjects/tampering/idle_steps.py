"""Steps that take their time and do no work at all."""

from honest import trainer

trainer(steps=8, step_s=0.45).train()
