"""Stands for flash-attn, which is installed; what it does is in the trainers."""
