"""The files in deploy/ agree with the service."""
