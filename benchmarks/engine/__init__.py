"""Fidelity, usefulness, privacy and cost of our engine beside others: `python -m benchmarks.engine`."""
