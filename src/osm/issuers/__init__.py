"""Who signs certificates, and who keeps them fresh: Tresor (our own root on disk), the keeper.

What stands in a certificate, and when it is due, is decided in `osm.core.pki`; here are keys,
files, time and retries. Nothing here knows proxies or xDS.
"""
