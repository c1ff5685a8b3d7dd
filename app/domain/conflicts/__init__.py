"""Conflicts: several live leaves of one item, which replication leaves; they are merged or shown to people."""
