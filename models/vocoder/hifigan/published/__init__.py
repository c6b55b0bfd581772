"""Finds, reads and writes HiFi-GAN folders in the layouts of other projects."""
