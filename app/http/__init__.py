"""The rules of every endpoint: keys, strict input, tags, pages, one error shape; knows no resource."""
