"""The text normalizer: written English to spoken words."""
