"""Mutants of the database: each takes one mechanism out, and a test has to notice."""
