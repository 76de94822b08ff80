"""Running a command as a workflow run: the process, what it says, and what the service is told of it."""
