"""Stands for the one function of PyTorch's that the hook's evaluation of DPO takes from here."""

import math

from torch import Tensor


def logsigmoid(value):
    return Tensor(-math.log1p(math.exp(-value.item())))
