"""Roots, Secrets, providers of certificates: what of them has a use afterwards."""

from collections.abc import Iterator, Sequence

from osm.core.migrate.documents import Document, items, name, namespace, of_kind, part, text, title
from osm.core.migrate.installation import Former
from osm.core.migrate.report import Entry, Severity

_KEYS = frozenset({"ca.crt", "private.key"})
_BOOTSTRAP_SECRET = "envoy-bootstrap-config-"  # noqa: S105 the beginning of a name
_LATER = (
    "Vault and cert-manager come with a later release. Until then the mesh makes a new root, which old "
    "proxies do not trust: take over all at once."
)


def judge_certificates(former: Former, documents: Sequence[Document]) -> Iterator[Entry]:
    """What issues certificates, and where the root is."""
    if former.provider == "tresor":
        yield from _judge_root(former, documents)
    else:
        yield Entry(
            Severity.UNSUPPORTED,
            "certificate-provider",
            former.title,
            "spec.template.spec.containers[0].args",
            f"its certificates come from {former.provider}; this mesh issues its own (tresor)",
            _LATER,
        )
    for document in of_kind(documents, "MeshRootCertificate", "config.openservicemesh.io"):
        yield from _judge_mesh_root(document)
    for mine in sorted(_bootstrap_namespaces(documents)):
        count = sum(_is_bootstrap(each) and namespace(each) == mine for each in _secrets(documents))
        yield Entry(
            Severity.ACTION,
            "bootstrap-secrets",
            f"Namespace {mine}",
            "",
            f"Secrets {_BOOTSTRAP_SECRET}… ({count}) hold the keys of old proxies; new ones have none",
            "They go with their pods. What is left when all pods were started anew can be deleted.",
        )


def _judge_root(former: Former, documents: Sequence[Document]) -> Iterator[Entry]:
    wanted = (former.namespace, former.ca_secret)
    found = [each for each in _secrets(documents) if (namespace(each), name(each)) == wanted]
    where = f"Secret {former.namespace}/{former.ca_secret}"
    if not found:
        yield Entry(
            Severity.ACTION,
            "ca-secret-unseen",
            where,
            "",
            "the root certificate was not seen: it is not there, or you may not read Secrets",
            f"See whether it is there: kubectl -n {former.namespace} get secret {former.ca_secret}",
        )
        return
    keys = {*part(found[0], "data"), *part(found[0], "stringData")}
    if missing := sorted(_KEYS - keys):
        yield Entry(
            Severity.ACTION,
            "ca-secret-incomplete",
            where,
            "data",
            f"it has no {' and no '.join(missing)}: a new control plane would not start with it",
            "Do not copy it; the new mesh then makes a root of its own.",
        )
        return
    yield Entry(
        Severity.CARRY_OVER,
        "root-certificate",
        where,
        "data",
        "a root by name and keys as here: copied into the new control plane's namespace, or left in its "
        "own, it goes on to be the root",
    )
    yield Entry(
        Severity.ACTION,
        "ca-secret-deleted",
        where,
        "",
        "the removal of OSM's chart deletes it, and MeshConfig too, unless it runs without hooks",
        "Save both before you remove OSM; the plan has the commands.",
    )


def _judge_mesh_root(document: Document) -> Iterator[Entry]:
    provider = next(iter(part(document, "spec", "provider")), "")
    message = "it has no effect yet: the root is the one in the Secret"
    if provider and provider != "tresor":
        message = f"its provider {provider} is not supported yet"
    yield Entry(
        Severity.UNSUPPORTED,
        "mesh-root-certificate",
        title(document),
        "spec.provider",
        message,
        _LATER
        if provider != "tresor"
        else "Rotation of roots comes with a later release. Finish one that is under way first: old and new "
        "proxies share one root.",
    )


def judge_gateway(config: Document) -> Iterator[Entry]:
    """The certificate that OSM kept for an ingress gateway."""
    gateway = part(config, "spec", "certificate", "ingressGateway")
    if gateway:
        secret = text(gateway, "secret", "name")
        names = ", ".join(str(each) for each in items(gateway, "subjectAltNames"))
        yield Entry(
            Severity.UNSUPPORTED,
            "ingress-gateway-certificate",
            title(config),
            "spec.certificate.ingressGateway",
            f"nobody renews Secret {secret} for {names} any more when OSM is gone",
            "Let the gateway call backends without a client certificate "
            "(IngressBackend tls.skipClientCertValidation), until this release's successor issues it.",
        )


def _secrets(documents: Sequence[Document]) -> list[Document]:
    return list(of_kind(documents, "Secret", ""))


def _is_bootstrap(secret: Document) -> bool:
    return name(secret).startswith(_BOOTSTRAP_SECRET)


def _bootstrap_namespaces(documents: Sequence[Document]) -> set[str]:
    return {namespace(each) for each in _secrets(documents) if _is_bootstrap(each)}
