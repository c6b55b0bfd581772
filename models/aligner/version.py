"""The version of the aligner, in a module without imports: stage 1 reads it before loading torch."""

VERSION = 3  # increase it with every change that affects the alignments: stage 1 then computes them again
