"""The local platform: workloads of manifests as processes of this machine, each with its own Envoy.

Here live: the source that reads a directory of YAML files, the expansion of Deployments into pods,
the namespaces that hold a pod, the agent inside of them, and the supervisor that keeps it all
running and clean. Not here: what an Envoy is told (`osm.core.envoy`, `osm.ads`), and what the
terminal shows (`osm.cli`).

`agent`, `container`, `namespaces`, `network`, `process_table` and `wire` run inside of pods, where
only the standard library is at hand: they import nothing else. Their start-up counts for each pod,
so they do without pathlib, too.
"""
