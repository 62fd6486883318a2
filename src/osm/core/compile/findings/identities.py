"""Service accounts that policies name, and that nobody runs as."""

from collections.abc import Iterator, Sequence

import msgspec

from osm.core.api.manifest import Key
from osm.core.compile.findings.outside import how_to_join
from osm.core.compile.findings.places import account_key, origin_of
from osm.core.compile.kubernetes import is_meshed
from osm.core.compile.tables import Tables
from osm.core.model.identity import Identity
from osm.core.model.origin import Finding, Severity


class Of(msgspec.Struct, frozen=True):
    """An object that names identities, where it is written, and what comes of those that are nobody."""

    key: Key
    where: str
    effect: str


def absent(
    tables: Tables, code: str, named: Sequence[tuple[str, Identity]], of: Of
) -> Iterator[Finding]:
    """Findings about the identities that nobody runs as, and the fields that name them.

    An account that exists has workloads at other times: of a Job, or when its Deployment is scaled up.
    And where others are there, one that is not may have come before its workloads.
    """
    missing = [(field, who) for field, who in named if who not in tables.workloads_of]
    for field, who in missing:
        severity = Severity.WARNING if len(missing) == len(named) else Severity.INFO
        if not is_meshed(tables, who.namespace):
            severity = Severity.WARNING
            why = f"namespace {who.namespace} is not in the mesh"
            hint = how_to_join(tables, who.namespace)
        elif account_key(who) in tables.service_accounts:
            severity = Severity.INFO
            why = f"no workload runs as service account {who.short} at present"
            hint = "Nothing is wrong if workloads of it come and go."
        else:
            why = f"no workload runs as service account {who.short}"
            if who.namespace in tables.accounts_in:
                why += ", which does not exist"
            hint = "Correct the name or the namespace. Pods say it in `spec.serviceAccountName`."
        origin = origin_of(of.key, field)
        yield Finding(code, severity, origin, f"{why}, so {of.effect}", hint, of.where)
