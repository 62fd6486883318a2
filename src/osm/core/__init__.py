"""The pure core: values in, values out.

Nothing here reads a clock, a file, a socket or a random number, logs, or is `async`. What people
write is in `api`, what it means in `model`; `compile` goes from one to the other; `envoy` turns the
model into Envoy's configuration, and `xds` decides what to send to whom.
"""
