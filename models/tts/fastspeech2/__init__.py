"""FastSpeech 2 (Ren et al. 2021, arXiv:2006.04558)."""
