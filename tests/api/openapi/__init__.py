"""The OpenAPI document in the hands of other tools: linters, and generators of clients."""
