"""The whole suite; its folders mirror the rooms that they test."""
