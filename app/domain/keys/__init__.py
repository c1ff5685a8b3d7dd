"""API keys: what they may do, until when, and who uses them."""
