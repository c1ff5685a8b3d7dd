"""What a batch keeps while it goes on."""
