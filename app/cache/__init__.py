"""Answers repeated reads from memory, exactly as Flask would answer them."""
