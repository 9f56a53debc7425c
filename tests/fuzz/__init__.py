"""Fuzzing of each parser that meets the bytes of somebody who has not proved who he is."""
