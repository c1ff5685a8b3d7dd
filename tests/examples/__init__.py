"""Tests of the examples, with the browsers and clients that use them."""
