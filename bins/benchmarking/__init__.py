"""The experiments of bins/benchmark.py, and the instruments they measure with."""
