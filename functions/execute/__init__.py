"""The only code that can place an order. Read in this order, it is the protocol:

request → auth → protocol (which uses checks, order, exchange, outcome) → answer.
"""
