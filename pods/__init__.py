"""Reaches machines: shells, job folders, the supervisor that works a folder off. Imports nothing of ours."""
