"""The pronunciation of words: dictionaries, rules and a small network."""
