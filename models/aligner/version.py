"""The version of the aligner, in a module without imports: stage 1 reads it before it loads torch."""

VERSION = 3  # increase it with every change of the aligner that changes its results: they are then made again
