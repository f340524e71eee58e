"""What everything stands on: errors, files and digests, streams of random numbers, items."""
