"""Keys, their text and their use."""
