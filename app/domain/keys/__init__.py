"""API keys: their rights, their texts, their ends and their last uses."""
