"""What `milepost demo` shows: a small shop whose work never ends, as any caller would write it."""
