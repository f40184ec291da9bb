"""The only code that can place an order. Read in this order, it is the protocol:

main → service → request → auth → protocol (with facts, order, checks, exchange, outcome, records) → answer.
"""
