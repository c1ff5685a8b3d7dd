"""A blueprint for each public resource: translation between HTTP and the domain, and nothing else."""
