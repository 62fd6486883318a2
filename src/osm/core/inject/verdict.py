"""Whether a pod gets a proxy."""

import msgspec


class Inject(msgspec.Struct, frozen=True, gc=False):
    """It does. `warnings` are for whoever creates it."""

    warnings: tuple[str, ...] = ()


class Leave(msgspec.Struct, frozen=True, gc=False):
    """It stays as it is, for this reason."""

    reason: str
    by_namespace: bool = False
    """Whether what its namespace says is why: an old copy of it may have said otherwise."""


class Refuse(msgspec.Struct, frozen=True, gc=False):
    """It must not be created: it would be in the mesh by name, and outside of it in truth."""

    message: str


Verdict = Inject | Leave | Refuse
