"""Pages, cursors and the merge of rows."""
