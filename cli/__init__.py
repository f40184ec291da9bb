"""The command line of an owner, `./interlock`: sign in, look, approve, decline, halt, resume.

It holds no rule of its own: it asks `execute` and the database what anybody may ask, and says what they
answered.
"""
