"""Derived tables: from values to values, recomputing only what changed.

A computation looks things up through `reads.Watched` mappings, which note what it looked at, also
what it looked for and did not find. `dependencies` turns these notes around: what changed → what
must be looked at again. `derivation` keeps tables that are computed from other tables so. No
dependency is ever declared by hand, and a value that comes out equal goes no further.

What lives here knows no mesh. Rules for a computation: it is pure, it reads nothing but the watched
mappings and its arguments, and it keeps nothing.
"""
