"""What an Envoy with this configuration does with this request: read from what proxies are sent.

It knows no model, and shares no code with what makes the configuration or explains the model, so that
the two can be held against each other. What it has never heard of is an error (`NotSimulated`), and
not left out: a new feature that could change a verdict has to be written down here, too.
"""
