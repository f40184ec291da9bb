"""A model of the protocol, searched exhaustively: every interleaving of every step, at a hostile exchange.

One proposal; two processes of execute that an owner, who repeats, sets off again and again; a cleanup; the
wire; the exchange; the database and a copy of it. Each may stop or crash between any two of its steps, and
time passes whenever it likes. What must hold, and what is looked for, is in `search`; which rules can be
taken out, in `database`; what the exchange may do, and what is explored, in `cases`.

What is left out, and why nothing is lost by it:

- **One proposal.** Executions of different proposals share no row but the halt, which only refuses. Limits
  are counted in the claim, under locks; `tests/database/test_interleavings` holds them.
- **The checks.** A check can only refuse. The model claims whatever the halt and the timestamp do not
  refuse, so it does more than the product. `begin_execution` is left out: the claim decides it again.
- **A transaction is one step.** That is what the row lock, taken before the first read, makes of it.
  `tests/database/test_protocol_model` carries out each call in each state on the real database and
  compares.
- **Time goes in steps of 30 s**, the distance of the two rounds. A window, at most 10 s, is given a whole
  step, and so may be as late as the protocol allows and later; the fence is moved with it. Between two
  steps of time anything may happen in any order. Both lengths are read from the code and from the SQL.
- **One clock.** Database and exchange show the same time, moved by nobody: rounds must be apart on both
  clocks, and `tests/cleanup/test_seeded_runs` moves each by itself.
- **Leases, back-off, limits.** Cleanup may begin a run whenever it likes: more runs than in the product.
  One runs at a time; that runs overlap is held by `tests/cleanup/test_many_runs`.
- **PARTIALLY_FILLED** moves as OPEN does. Amounts and fees are left to `tests/cleanup/test_facts`.
- **A crash** of a process while a call to the database is under way is the crash after it or before it.
"""
