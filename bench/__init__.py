"""Measures and judges: plans, worker, hook, records, statistics, verdicts. Imports nothing of ours."""
