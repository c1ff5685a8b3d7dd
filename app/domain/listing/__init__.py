"""Pages of a listing: rows of the index, cursors, and the merge of several projects' rows."""
