"""Waiting on a cluster: what is asked for costs a command, and comes after seconds."""

from functools import partial

from tests import waiting

eventually = partial(waiting.eventually, within=30.0, every=0.2)
