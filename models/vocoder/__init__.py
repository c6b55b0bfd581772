"""Vocoders: mel to waveform."""
