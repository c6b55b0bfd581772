"""Features: a waveform in, an array out; and the pipeline of stage 1."""
