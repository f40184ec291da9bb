"""What `make bench` measures: each figure beside the one that it is held against, in one run on one machine.

A bench is a function in a module of its own that answers rows; `__main__` names them all and prints a table.
"""
