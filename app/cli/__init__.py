"""The second front door: commands for operators, on the same domain as the HTTP API."""
