"""Why: decisions with their origins, simulation of generated configuration, topology.

`decide` follows a request, `denied` asks about one that was refused. What decides on the way has a
module each: a function from a `Call` to steps, listed in `decide.REQUEST_STEPS` or, for what counts
where it arrives, in `backends.BACKEND_STEPS`. What would change an answer is in the `remedy` modules.
"""
