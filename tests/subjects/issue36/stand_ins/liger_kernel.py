"""Stands for liger-kernel, which is installed; what it does is in the trainers."""
