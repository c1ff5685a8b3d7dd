"""A blueprint per public noun: translation between HTTP and the domain, and nothing else."""
