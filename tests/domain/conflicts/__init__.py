"""Tests of the judgement of conflicts, and of the resolver on databases in memory."""
