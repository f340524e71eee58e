"""Side-by-side timings of tightbound, its peers and the bare arithmetic."""
