"""Faults on command: what can be done to a request on the wire, and which request it is done to."""
