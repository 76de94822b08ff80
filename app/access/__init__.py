"""Who calls, and whether they may: keys, callers, answers to repeats, waiting."""
