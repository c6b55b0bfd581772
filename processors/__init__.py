"""Feature extraction from waveforms, and the pipeline of stage 1."""
