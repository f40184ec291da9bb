"""Execute's process is killed, or stopped, between every two steps, whatever the exchange does then.

wire (what passes and what is kept there), deployment, steps, outcomes, cell, stalled, matrix.
"""
