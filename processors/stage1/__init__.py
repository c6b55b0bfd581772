"""Stage 1: turns a corpus into a data folder."""
