"""Reaches a pod over SSH: the one package that imports paramiko."""
