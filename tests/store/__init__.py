"""Tests of the store: what each failure of the database becomes, and that documents come and go as they should."""
