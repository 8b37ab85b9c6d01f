"""Is measured, and trains. The only room that may import torch; empty until the trainer lands."""
