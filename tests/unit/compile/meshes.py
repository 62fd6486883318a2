"""Random meshes for properties: mostly sensible, sometimes wrong, always small."""

from collections.abc import Sequence

from hypothesis import strategies as st

from osm.testing.builders import (
    Document,
    http_group,
    mesh_config,
    pod,
    retry,
    service,
    split,
    target,
    tcp_route,
    upstream,
)

NAMESPACES = ("red", "blue")
APPS = ("a", "b", "c")
NUMBERS = (80, 81, 5432)
PATHS = ("", ".*", "/x", "/x/.*", "/(x|y)", "/y/[0-9]+")
GROUPS = ("g", "h", "gone")
ROUTES = ("all", "some", "gone")

namespaces = st.sampled_from(NAMESPACES)
apps = st.sampled_from(APPS)


@st.composite
def _pod(draw: st.DrawFn, space: str, app: str, number: int) -> Document:
    host = NAMESPACES.index(space) * 100 + APPS.index(app) * 10 + number
    return pod(
        f"{app}-{number}",
        namespace=space,
        app=app,
        account=draw(st.sampled_from((app, app, "shared"))),
        ip=f"10.0.0.{host + 1}",
        ports={"web": draw(st.sampled_from((8080, 80)))},
        ready=draw(st.integers(0, 4)) > 0,
        subdomain=draw(st.sampled_from(("", app))),
        owner=draw(st.sampled_from((None, ("ReplicaSet", f"{app}-1f")))),
    )


@st.composite
def _port(draw: st.DrawFn, number: int) -> Document:
    kind = draw(st.sampled_from(("http", "http", "grpc", "tcp", "tcp-server-first", "tls")))
    port: dict[str, object] = {"port": number, "name": f"{kind}-{number}"}
    port["targetPort"] = draw(st.sampled_from((number, 80, "web", "none")))
    return port


@st.composite
def _service(draw: st.DrawFn, space: str, app: str) -> Document:
    numbers = draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=2, unique=True))
    host = NAMESPACES.index(space) * 10 + APPS.index(app) + 1
    return service(
        app,
        *[draw(_port(number)) for number in numbers],
        namespace=space,
        app=draw(st.sampled_from((app, app, "a"))),
        ip=draw(st.sampled_from((f"10.1.0.{host}", f"10.1.0.{host}", "None", ""))),
    )


@st.composite
def _match(draw: st.DrawFn, name: str) -> Document:
    match: dict[str, object] = {"name": name, "pathRegex": draw(st.sampled_from(PATHS))}
    methods = draw(st.lists(st.sampled_from(("GET", "POST", "*")), max_size=2))
    if methods:
        match["methods"] = methods
    if draw(st.integers(0, 3)) == 0:
        match["headers"] = [{draw(st.sampled_from(("x-a", "Host"))): draw(st.sampled_from(PATHS))}]
    return match


@st.composite
def _group(draw: st.DrawFn, name: str, space: str) -> Document:
    matches = [draw(_match(m)) for m in draw(st.lists(st.sampled_from("mno"), unique=True))]
    return http_group(name, *matches, namespace=space)


_HTTP_RULE = st.tuples(
    st.just("HTTPRouteGroup"), st.sampled_from(GROUPS), st.sampled_from(("", "/m", "/m/n", "/q"))
)
_TCP_RULE = st.tuples(st.just("TCPRoute"), st.sampled_from(ROUTES), st.just(""))


@st.composite
def _target(draw: st.DrawFn, number: int) -> Document:
    rules = draw(st.lists(_HTTP_RULE | _HTTP_RULE | _TCP_RULE, max_size=3))
    sources = draw(st.lists(st.tuples(namespaces, apps), max_size=3))
    return target(
        f"t{number}",
        draw(st.sampled_from((*APPS, "shared"))),
        [f"{space}/{account}" for space, account in sources],
        *[f"{kind}/{name}{matches}" for kind, name, matches in rules],
        namespace=draw(namespaces),
    )


@st.composite
def _split(draw: st.DrawFn, number: int) -> Document:
    leaves = draw(st.lists(st.sampled_from((*APPS, "gone")), min_size=1, unique=True))
    return split(
        f"s{number}",
        draw(apps),
        {leaf: draw(st.integers(0, 3)) for leaf in leaves},
        namespace=draw(namespaces),
        matches=draw(st.sampled_from(((), (), ("g",), ("gone",)))),
    )


@st.composite
def _retry(draw: st.DrawFn, number: int) -> Document:
    source, to = draw(st.tuples(namespaces, apps)), draw(st.tuples(namespaces, apps))
    return retry(f"r{number}", "/".join(source), ["/".join(to)], namespace=draw(namespaces))


@st.composite
def _limits(draw: st.DrawFn, number: int) -> Document:
    space, count = draw(namespaces), draw(st.integers(1, 2**31))
    limit = {"unit": draw(st.sampled_from(("second", "minute", "hour"))), "burst": count - 1}
    paths = draw(st.lists(st.sampled_from(PATHS[1:]), unique=True))
    spec = {
        "connectionSettings": {"tcp": {"maxConnections": count}, "http": {"maxRequests": 0}},
        "rateLimit": {
            "local": {"tcp": {"connections": count, **limit}, "http": {"requests": count, **limit}}
        },
        "httpRoutes": [
            {"path": path, "rateLimit": {"local": {"requests": 1, **limit}}} for path in paths
        ],
    }
    host = f"{draw(apps)}.{space}.svc.cluster.local"
    return upstream(f"u{number}", host, spec, namespace=space)


@st.composite
def meshes(draw: st.DrawFn) -> Sequence[Document]:
    """The objects of a mesh, in a fixed order."""
    places = draw(
        st.lists(st.tuples(namespaces, apps), min_size=2, max_size=4, unique=True).map(sorted)
    )
    out: list[Document] = []
    for space, app in places:
        out += [draw(_pod(space, app, n)) for n in range(draw(st.integers(1, 2)))]
        out.append(draw(_service(space, app)))
    for space in NAMESPACES:
        out += [draw(_group(name, space)) for name in GROUPS[:2]]
        out += [
            tcp_route("all", namespace=space),
            tcp_route("some", 80, 8080, namespace=space),
        ]
    out += [draw(_target(number)) for number in range(draw(st.integers(0, 4)))]
    out += [draw(_split(number)) for number in range(draw(st.integers(0, 2)))]
    out += [draw(_retry(number)) for number in range(draw(st.integers(0, 2)))]
    out += [draw(_limits(number)) for number in range(draw(st.integers(0, 2)))]
    permissive = draw(st.integers(0, 3)) == 0
    out.append(
        mesh_config(
            traffic={"enablePermissiveTrafficPolicyMode": permissive},
            featureFlags={"enableRetryPolicy": True},
        )
    )
    return out
