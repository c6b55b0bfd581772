"""Models, each with its data set, loss, trainer and inference."""
