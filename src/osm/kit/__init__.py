"""Small asyncio pieces that know no mesh: back-off, debounce, broadcast, clock.

Only the shell uses them; `osm.core` is free of asyncio. Nothing here knows objects or proxies.
"""
