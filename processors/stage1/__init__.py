"""Runs stage 1: from a corpus to a data folder."""
