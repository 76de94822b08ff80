"""Why things stand where they stand: rules that make reasons of facts."""
