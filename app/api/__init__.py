"""HTTP: one file a resource; parse, call, return."""
