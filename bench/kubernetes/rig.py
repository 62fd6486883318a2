"""A cluster with its mesh, `osm controller --kubernetes`, and proxies that show their pods' tokens."""

import base64
import http.client
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from bench.controller import ControllerProcess, accepts
from bench.fleet import Fleet, Proxy
from bench.kubernetes.cluster import Cluster, cluster
from bench.kubernetes.objects import WITNESSED, ClusterObjects
from bench.kubernetes.witness import Witness
from bench.rig import PROBE, RunningMesh, Setting, identity, stages
from osm.core.install.names import ADS_PORT, API_PORT, CA_SECRET, HTTP_PORT
from osm.kubernetes.root_secret import CERTIFICATE
from osm.runtime.settings import TRUST_DOMAIN, ads_name

LIMIT_S = 60.0
OK = 200


class KubernetesController(ControllerProcess):
    """It reads a cluster. Its ports are fixed, so there is one on a machine at a time."""

    poll_s = 0.02

    def __init__(self, directory: Path, kubeconfig: Path) -> None:
        super().__init__(directory, f"127.0.0.1:{ADS_PORT}")
        self._kubeconfig = kubeconfig

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        arguments = ("controller", "--kubernetes", "--kubeconfig", str(self._kubeconfig))
        environment = {
            **os.environ,
            "CONTROLLER_POD_NAME": "osm-controller-bench",
            "OSM_DEFAULT_ENVOY_IMAGE": "registry.invalid/envoy",
            "OSM_DEFAULT_INIT_CONTAINER_IMAGE": "registry.invalid/init",
        }
        return arguments, environment

    def start(self) -> int:
        check_ports()
        return super().start()

    def serves(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return _get(HTTP_PORT, "/health/ready")[0] == OK
        return False

    def get(self, path: str) -> bytes:
        return _get(API_PORT, path)[1]


def check_ports() -> None:
    """Raise when there is somebody whom proxies and we would take for the controller."""
    for port in (ADS_PORT, API_PORT, HTTP_PORT):
        if accepts(port):
            raise RuntimeError(
                f"port {port} is taken: another control plane runs on this machine, of a test maybe; "
                "end it, or wait for its end"
            )


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class KubernetesRig(RunningMesh):
    """What the case works with. `witness` watches beside the controller."""

    objects: ClusterObjects

    def __init__(
        self,
        setting: Setting,
        osm: KubernetesController,
        fleet: Fleet,
        its_cluster: Cluster,
        objects: ClusterObjects,
    ) -> None:
        super().__init__(setting, objects, osm, fleet)
        self._cluster = its_cluster
        self._proxies: tuple[Proxy, ...] = ()
        self.witness = Witness(its_cluster, WITNESSED)

    def introduce(self) -> None:
        self._proxies = self._proxies or tuple(self._with_tokens())
        self.fleet.play(
            self.controller.ads,
            ads_name(TRUST_DOMAIN),
            self._cluster.run(self._roots()),
            PROBE,
            self._proxies,
        )

    def _with_tokens(self) -> Iterator[Proxy]:
        everybody = [identity(number, self.setting) for number in self.streams]
        tokens = self.objects.tokens((w.identity.service_account, w.workload) for w in everybody)
        for number, who in enumerate(everybody):
            yield Proxy(
                node=who.name,
                cluster=f"{who.identity.service_account}.{who.identity.namespace}",
                stages=stages(number, self.setting),
                token=tokens[who.workload],
            )

    async def _roots(self) -> str:
        """What the controller that was started first has put into its Secret."""
        namespace = self._cluster.installation.namespace
        path = f"/api/v1/namespaces/{namespace}/secrets/{CA_SECRET}"
        secret = msgspec.json.decode(await self._cluster.server.get(path))
        return base64.b64decode(secret["data"][CERTIFICATE]).decode()

    def begin_again(self) -> None:
        """End the controller as a crash would, and all connections."""
        self.fleet.disconnect()
        self.controller.kill()


@contextmanager
def kubernetes_rig(setting: Setting) -> Iterator[KubernetesRig]:
    """Make a cluster with a mesh; its controller is not started yet."""
    check_ports()  # before the minute that making the mesh takes
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="osm-b-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        its_cluster = stack.enter_context(cluster(directory / "cluster"))
        objects = ClusterObjects(its_cluster, setting.services, setting.replicas)
        objects.write()
        osm = KubernetesController(directory, its_cluster.kubeconfig)
        stack.callback(osm.stop)
        fleet = stack.enter_context(Fleet(directory / "fleet.log"))
        yield KubernetesRig(setting, osm, fleet, its_cluster, objects)
