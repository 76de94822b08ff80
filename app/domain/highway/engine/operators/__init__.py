"""The operators: one file for what the steps of each do in all their phases, and one table of them.

What two of them share, as branches and iterations, stands beside this room.
"""
