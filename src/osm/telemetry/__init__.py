"""What the proxies and the control plane count: reading it, adding it up, serving it.

`exposition` and `traffic` turn the proxies' metrics into rates between workloads, `scraper` fetches
them, `access_log` turns the proxies' logs of refused requests into denials, and `control_plane` has
the control plane's own metrics. What a person sees of it is made elsewhere (`osm.dashboard`).
"""
