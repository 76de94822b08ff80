"""Highway definitions: read, checked, compiled, executed and simulated, without a clock and without I/O."""
