"""What definitions are written with: operators, paths, templates, conditions, guards, and what those may come to."""
