"""Named data sets: where their files are looked for, fetched, verified and read."""
