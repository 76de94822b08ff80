"""How stored things move: locked, changed, ended, opened again, and told to those who wait."""
