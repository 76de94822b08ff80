"""What can be done with workflow runs: one file a verb."""
