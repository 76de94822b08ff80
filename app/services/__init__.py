"""What a caller may do: rules and the order of statements. No SQL, no HTTP, no commit."""
