"""HiFi-GAN folders in the layouts that others published: found, read and written."""
