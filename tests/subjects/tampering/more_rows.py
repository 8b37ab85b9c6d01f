"""Has the hook count each batch tenfold."""

from _paceline_hook import batches
from honest import trainer

count = batches.count


def tenfold(inputs, wants_digest):
    return {name: n * 10 if isinstance(n, int) else n for name, n in count(inputs, wants_digest).items()}


batches.count = tenfold
trainer().train()
