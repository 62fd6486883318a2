"""From what people write to what it means: `osm.core.api` objects in, `osm.core.model` out.

A front end per family of objects: `kubernetes` (workloads, services, endpoints), `smi` (access rules
and splits), `openservicemesh` (settings). None of them knows a back end. A part of an object that
cannot be represented becomes a finding: access rules then grant nothing, routes fall back to the
service itself.
`findings` looks at what they made of everything, and says what surely was not meant.
"""
