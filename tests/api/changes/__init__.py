"""`GET /changes` by poll."""
