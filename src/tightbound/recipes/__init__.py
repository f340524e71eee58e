"""From settings and data to all that is fitted."""
