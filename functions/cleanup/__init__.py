"""What a crash leaves behind, cleanup settles. Read in this order, it is the protocol:

run → settle (look-ups, by exchange) → compare (complete reads, by pages) → summary.
"""
