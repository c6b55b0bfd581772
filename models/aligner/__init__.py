"""The aligner: learns when each phone is spoken, from nothing but the corpus (arXiv:2108.10447)."""
