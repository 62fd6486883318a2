"""OSM's values that have no meaning here: why, and what to do instead. They are read, with a remark."""

from collections.abc import Mapping

import msgspec


class Former(msgspec.Struct, frozen=True):
    """Why a value has no effect, and what to do instead."""

    why: str
    instead: str = ""


_ONE = "there is one Deployment, osm-controller, which does this too."
_AS_CONTROLLER = "Use osm.osmController."
_NO_JOBS = "no Job runs before an installation or after a removal."
_SCRAPES = "this release brings none."
_METRICS = "Point your own at the pods' annotations prometheus.io/*."
_IMAGES = "there are three images: osm-controller, osm-envoy and osm-init."
_DIGEST = "Give a digest in osm.image.tag, as in 2.0.0@sha256:…"
_NAMES = "webhook configurations are named by their mesh, so that no two meshes share one."
_ISSUERS = "certificates are issued by the control plane itself (tresor)."


def _each(above: str, names: str, former: Former) -> Mapping[str, Former]:
    return {f"{above}.{name}": former for name in names.split()}


FORMER: Mapping[str, Former] = {
    **_each(
        "osm.injector",
        "replicaCount resource podLabels enablePodDisruptionBudget autoScale affinity nodeSelector "
        "tolerations",
        Former(_ONE, _AS_CONTROLLER),
    ),
    "osm.osmBootstrap": Former(_ONE, _AS_CONTROLLER),
    **_each("osm", "preinstall cleanup", Former(_NO_JOBS)),
    **_each("osm", "deployPrometheus prometheus", Former(_SCRAPES, _METRICS)),
    **_each("osm", "deployGrafana grafana", Former(_SCRAPES, "`osm dashboard` has a page.")),
    "osm.deployJaeger": Former(_SCRAPES, "Run your own, and name it in osm.tracing.address."),
    **_each(
        "osm.tracing",
        "image affinity nodeSelector tolerations",
        Former(_SCRAPES, "Run your own, and name it in osm.tracing.address."),
    ),
    **_each(
        "osm", "enableFluentbit fluentBit", Former(_SCRAPES, "Collect the logs of pods as usual.")
    ),
    **_each("osm", "vault certmanager", Former(_ISSUERS)),
    "osm.image.digest": Former("tags name the images.", _DIGEST),
    **_each(
        "osm.image.name",
        "osmInjector osmBootstrap osmCRDs osmPreinstall osmHealthcheck",
        Former(_IMAGES),
    ),
    "osm.curlImage": Former("nothing waits for a bootstrap."),
    "osm.sidecarWindowsImage": Former("Windows has no sidecars here."),
    "osm.enableReconciler": Former("the control plane always restores what is its own."),
    "osm.webhookConfigNamePrefix": Former(_NAMES),
    "osm.validatorWebhook": Former(_NAMES),
    "osm.multicluster": Former("it had none in OSM v1.2 either."),
    **_each(
        "osm.featureFlags",
        "enableSPIFFE enableMulticlusterMode enableOSMGateway enableValidatingWebhook",
        Former("there is no such switch any more."),
    ),
    "contour": Former(
        "this chart brings no ingress controller.",
        "Install Contour by its own chart, and write an IngressBackend.",
    ),
}
