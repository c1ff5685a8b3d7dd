"""Answers hot reads without the framework's full course, exactly as that would have answered them."""
