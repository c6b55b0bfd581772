"""HiFi-GAN (Kong et al. 2020, arXiv:2010.05646)."""
