"""What finished alignments were made with. Light: stage 1 asks before it imports anything heavy."""

VERSION = 3  # raise it with every change of the aligner that changes its results: they are then made anew
