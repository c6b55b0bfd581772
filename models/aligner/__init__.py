"""The aligner that learns from a corpus itself where each phone is spoken (arXiv:2108.10447)."""
