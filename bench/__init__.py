"""Measures and judges: plans, the worker, the hook, records, statistics, verdicts. Imports nothing of ours."""
