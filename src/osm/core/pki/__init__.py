"""X.509 from values: roots and leaves, when to renew, and whom a presented certificate names.

Pure: keys, serial numbers and times are arguments. No files, no key generation and no clock here
(`osm.issuers` has them), and no decision about what an identity may do (`core.compile`).
"""
