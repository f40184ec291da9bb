"""The scan on the real stack: overlapping, killed, late, and with models that misbehave."""
