"""The housekeeping loops: what happens when nobody calls."""
