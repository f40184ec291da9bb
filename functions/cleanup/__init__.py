"""What a crash leaves behind, cleanup settles. Read in this order, it is the protocol:

run → settle (look-ups) → absence (finding nothing) → compare (orders out = approvals in) → summary.
`exchange` is what a run may ask, `pages` how it reads completely, `records` what it tells the database.
"""
