"""The operators in motion: one file for what the steps of each do in all their phases, and one table of them.

What two of them share, as branches and iterations, stands beside this room; which members their steps have stands in
the room of the same name beside the document.
"""
