"""Every JSON shape on the wire, and the shape of every query."""
