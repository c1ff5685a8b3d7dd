"""Many operations in one request."""
