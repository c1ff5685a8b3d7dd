"""The versions of items: their capture, how long they are kept, and how they are read and restored."""
