"""The simulated exchange and the fault proxy: what they stand for, and how they fail when told to."""
