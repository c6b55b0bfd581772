"""The experiments of bins/benchmark.py, and their measuring tools."""
