"""Postgres: reaching it, running one, waiting for it."""
