"""The operators as documents and plans know them: one file for what the steps of each may have, and one table of them.

What they do once a run is in motion stands in the room of the same name beside the engine.
"""
