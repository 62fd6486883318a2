"""From a pod as its owner wrote it to the pod with its proxy, when the API server asks at admission.

`decision` says whether, `redirection` and `probes` and `sidecar` say what is added, `patch` is the
answer, and `injection` puts them together. What Envoy is told is not made here (`core.envoy`), nor is
anything served (`osm.kubernetes`).
"""
