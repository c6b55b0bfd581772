"""Text as people write it -> words as people say them."""
