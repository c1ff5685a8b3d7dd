"""The promises that every endpoint keeps: keys, strict input, tags, pages, one error shape; knows no resource."""
