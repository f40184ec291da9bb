"""Thousands of seeded schedules of owners, faults, crashes, stalls, halts and clocks, and a judge.

Each seed is a deployment of its own: the real SQL, the functions' own code, the simulated exchange, and
clocks that the schedule moves. Everything happens one step after the other, so a seed replays:
``python -m tests.soak 17`` tells it step by step.

schedule (who acts when), people, functions, ways (from a process to its servers), weather (what goes wrong
there), clocks, place; journal (what was set when), claims and oracle (what must be true), story; running
(many seeds), planted (what has to be noticed); neighbours and hostile (two owners, one of whom tries to stop
the other).
"""
