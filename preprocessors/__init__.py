"""Corpus readers: a folder in, utterances out."""
