"""What the mesh says of an object in the object itself: conditions, and OSM's one word.

Findings in, a status out, and nothing when the object says it already. Not here: who writes it
(`osm.kubernetes.status`), and Events.
"""

from osm.core.status.conditions import Condition as Condition
from osm.core.status.wanted import Present as Present
from osm.core.status.wanted import same_status as same_status
from osm.core.status.wanted import wanted_status as wanted_status
