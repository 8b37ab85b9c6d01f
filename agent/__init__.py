"""Decides and speaks: the command line, and (with later work) the tracker, the loop and the comments."""
