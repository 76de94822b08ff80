"""Measurements of the whole service on one machine: `python -m benchmarks`."""
