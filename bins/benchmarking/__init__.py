"""The parts of bins/benchmark.py."""
