"""How many requests a principal may send: the policies, the storages that count, and the limiter that decides."""
