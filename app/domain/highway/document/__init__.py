"""Definitions as documents: read from texts, written, checked in their form, compared."""
