"""The three-way merge of texts and items: a pure function of its arguments, without HTTP, CouchDB or a clock."""
