"""The page of a mesh on a cluster, on a port of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from osm.cli.cluster_mesh import choose_mesh, controller_pods, installed_meshes, ready_pods
from osm.cli.cluster_session import open_session
from osm.cli.command import Invocation
from osm.core.install.names import PAGE_PORT
from osm.errors import PlatformError
from osm.kubernetes.apply import Objects
from osm.kubernetes.port_forward import PodPort, forwarded


@contextmanager
def forwarded_page(
    name: str | None, told: Invocation, local_port: int, remote_port: int = PAGE_PORT
) -> Iterator[str]:
    """The address of the page, for as long as the context lasts."""
    session = open_session(told)
    try:
        objects = Objects(session.server)
        mesh = choose_mesh(session.ask(installed_meshes(objects, told.osm_namespace or "")), name)
        pod = ready_pods(mesh, session.ask(controller_pods(objects, mesh)))[0]
        target = PodPort(mesh.namespace, pod, remote_port)
        try:
            forward = session.enter(forwarded(session.server, target, port=local_port))
        except OSError as error:
            raise PlatformError(
                f"The port {local_port} of this machine cannot be used: {error.strerror}.",
                hint="Choose another one with -p PORT; -p 0 takes any that is free.",
            ) from error
        yield f"http://127.0.0.1:{forward.port}/"
    finally:
        session.close()
