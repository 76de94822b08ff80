"""Connections: what a peer may send, hold and wait for, and how the server begins and ends."""
