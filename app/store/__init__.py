"""SQL: one function, one statement, built once over the models."""
