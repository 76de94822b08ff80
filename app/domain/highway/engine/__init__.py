"""The execution of plans: what an action makes of the state of a run, and what it causes."""
