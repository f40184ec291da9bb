"""The only code that talks to the model, and it cannot trade. Read in this order, it is the protocol:

main → tick (claim, side by side) → scan (one job: look, ask, decide, finish) → ask (budget and model).
`reader` is the exchange as the jobs of one tick share it, `model` and `transport` lead to the model, and
the pure parts are `indicators`, `market`, `question`, `answer`, `rationale` and `sizing`.
"""
