"""Broken input: each gets a stable code, the exact line, and words that help."""

# ruff: noqa: E501 - one row of a table is one line

import pytest

from osm.core.api.yaml_text import parse
from osm.core.model.origin import Severity

SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: bookstore
  namespace: bookstore
spec:
  selector:
    app: bookstore
  ports:
  - name: http
    port: 14001
"""

TARGET = """\
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata:
  name: bookstore
  namespace: bookstore
spec:
  destination:
    kind: ServiceAccount
    name: bookstore
    namespace: bookstore
  rules:
  - kind: HTTPRouteGroup
    name: routes
    matches: [buy-a-book]
  sources:
  - kind: ServiceAccount
    name: bookbuyer
    namespace: bookbuyer
"""

GROUP = """\
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata:
  name: routes
spec:
  matches:
  - name: buy-a-book
    pathRegex: .*a-book.*new
    methods: [GET]
    headers:
    - host: bookstore
"""

SPLIT = """\
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata:
  name: split
spec:
  service: bookstore
  backends:
  - service: bookstore-v1
    weight: 50
  - service: bookstore-v2
    weight: 50
"""

ROUTE = """\
apiVersion: specs.smi-spec.io/v1alpha4
kind: TCPRoute
metadata:
  name: mysql
spec:
  matches:
    ports: [3306]
"""

CONFIG = """\
apiVersion: config.openservicemesh.io/v1alpha2
kind: MeshConfig
metadata:
  name: osm-mesh-config
spec:
  sidecar:
    logLevel: error
    configResyncInterval: 30s
  traffic:
    outboundIPRangeExclusionList: [10.0.0.0/8]
    outboundPortExclusionList: [6379]
  certificate:
    serviceCertValidityDuration: 24h
"""

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: bookstore
spec:
  replicas: 1
  selector:
    matchLabels:
      app: bookstore
  template:
    metadata:
      labels:
        app: bookstore
    spec:
      containers:
      - name: bookstore
        command: [bookstore]
        args: ["--port", "14001"]
        env:
        - name: PORT
          value: "14001"
        readinessProbe:
          httpGet:
            path: /
            port: 14001
"""

GOOD = (SERVICE, TARGET, GROUP, SPLIT, ROUTE, CONFIG, DEPLOYMENT)

# text, what is written instead of what, code, line, words of the message, words of the hint
BROKEN_TEXT = [
    ("a tab as indentation", SERVICE, "  ports:", "\tports:", "OSM006", 9, "tab", "spaces"),
    ("a key twice", SERVICE, "  namespace: b", "  name: b", "OSM007", 5, "twice", "Remove one"),
    ("a Python object", SERVICE, "name: bookstore\n", "name: !!python/object:os.system x\n",
     "OSM008", 4, "!!python/object:os.system", "Remove the tag"),
    ("a private tag", SERVICE, "name: bookstore\n", "name: !secret x\n", "OSM008", 4, "!secret", ""),
    ("binary data", SERVICE, "name: bookstore\n", "name: !!binary aGk=\n", "OSM008", 4, "!!binary", ""),
    ("an unknown anchor", SERVICE, "app: bookstore", "app: *store", "OSM009", 8, "*store", "&store"),
    ("an anchor within itself", SERVICE, "selector:\n    app: bookstore", "selector: &s\n    app: *s",
     "OSM009", 8, "inside", ""),
    ("a bracket that does not close", GROUP, "methods: [GET]", "methods: [GET",
     "OSM005", 9, "does not end", "]"),
    ("a brace that does not close", SERVICE, "selector:\n    app: bookstore", "selector: {app: bookstore",
     "OSM005", 7, "does not end", "}"),
    ("a quote that does not close", SERVICE, "name: bookstore\n", 'name: "bookstore\n',
     "OSM005", 4, "quote", "Close"),
    ("a colon inside of text", SERVICE, "name: http\n", "name: http: x\n", "OSM005", 10, "colon", "quotes"),
    ("indentation that fits nothing", SERVICE, "    port: 14001", "   port: 14001",
     "OSM005", 11, "indentation", "Compare"),
    ("a key without a colon", SERVICE, "  ports:\n", "  ports\n", "OSM005", 9, "", ""),
    ("a regex in double quotes", GROUP, ".*a-book.*new", r'"/\d+"', "OSM005", 8, "escape", "single"),
    ("a star that is an alias", GROUP, "[GET]", "[*]", "OSM005", 9, "alias", "quotes"),
    ("an at sign", SERVICE, "name: http\n", "name: @http\n", "OSM005", 10, "quotes", "quotes"),
    ("a key that is a boolean", SERVICE, "    app: b", "    on: b", "OSM011", 8, "on", '"on"'),
    ("a key that is a number", SERVICE, "    app: b", "    8080: b", "OSM011", 8, "8080", '"8080"'),
    ("a template's placeholder", SERVICE, "name: bookstore\n", "name: {{ name }}\n",
     "OSM011", 4, "", "placeholder"),
    ("a control character", SERVICE, "app: bookstore", "app: book\x07store", "OSM004", 8, "U+0007", ""),
]  # fmt: skip

BROKEN_OBJECTS = [
    ("no apiVersion", SERVICE, "apiVersion: v1\n", "", "OSM101", 1, "apiVersion", "apiVersion: v1"),
    ("a misspelt apiVersion", SERVICE, "apiVersion", "apiversion", "OSM101", 1, "apiversion", "`apiVersion`"),
    ("no kind", SERVICE, "kind: Service\n", "", "OSM102", 1, "kind", "kind: Service"),
    ("an unknown group", TARGET, "access.smi", "acess.smi", "OSM107", 1, "acess", "access.smi-spec.io/v1alpha3"),  # codespell:ignore acess
    ("an unknown kind of an unknown group", TARGET, "access.smi-spec.io/v1alpha3\nkind: TrafficTarget",
     "acces.smi-spec.io/v1\nkind: Thing", "OSM103", 1, "acces.smi", "access.smi-spec.io"),  # codespell:ignore acces
    ("a misspelt kind", SERVICE, "kind: Service", "kind: Sevice", "OSM104", 2, "Sevice", "Service"),  # codespell:ignore sevice
    ("a kind in the wrong case", TARGET, "kind: TrafficTarget", "kind: traffictarget",
     "OSM104", 2, "traffictarget", "TrafficTarget"),
    ("a version that does not exist", TARGET, "v1alpha3", "v1beta1", "OSM105", 1, "v1beta1", "v1alpha3"),
    ("a kind in another kind's group", SPLIT, "split.smi-spec.io/v1alpha2", "access.smi-spec.io/v1alpha2",
     "OSM107", 1, "access.smi-spec.io", "split.smi-spec.io/v1alpha4"),
    ("no metadata", CONFIG, "metadata:\n  name: osm-mesh-config\n", "", "OSM110", 1, "metadata", "name"),
    ("no name", CONFIG, "  name: osm-mesh-config", "  labels: {a: b}", "OSM110", 3, "metadata.name", ""),
    ("a name in capitals", SERVICE, "name: bookstore\n", "name: BookStore\n", "OSM120", 4, "BookStore",
     "'bookstore'"),
    ("a name that is a boolean", SERVICE, "name: bookstore\n", "name: on\n", "OSM113", 4, "text", "quotes"),
    ("a namespace with a dot", SERVICE, "namespace: bookstore", "namespace: book.store",
     "OSM121", 5, "book.store", "book-store"),
    ("a service that begins with a digit", SERVICE, "name: bookstore\n", "name: 1bookstore\n",
     "OSM120", 4, "letter", ""),
    ("a label that is a boolean", SERVICE, "app: bookstore", "app: no", "OSM113", 8,
     "YAML reads no as the boolean false", '"no"'),
    ("a label value with a space", DEPLOYMENT, "  name: bookstore\nspec", "  name: bookstore\n  labels:\n    a: b c\nspec", "OSM122", 6, "b c", "annotations"),
    ("a port that is too large", SERVICE, "port: 14001", "port: 140010", "OSM130", 11, "1 to 65535", ""),
    ("a port in quotes", SERVICE, "port: 14001", 'port: "14001"', "OSM112", 11, "whole number", "14001"),
    ("a target port in quotes", SERVICE, "port: 14001", 'port: 1\n    targetPort: "80"',
     "OSM130", 12, "name", "quotes"),
    ("a misspelt port", SERVICE, "    port: 14001", "    prot: 14001", "OSM110", 11, "`prot`", "`port`"),
    ("an unknown protocol", SERVICE, "port: 14001", "port: 1\n    protocol: HTTP", "OSM114", 12, "TCP, UDP", ""),
    ("ports as a mapping", SERVICE, "  - name: http\n    port", "    name: http\n    port",
     "OSM112", 9, "must be a list", "dash"),
    ("two ports without names", SERVICE, "  - name: http\n    port: 14001", "  - port: 1\n  - port: 2",
     "OSM110", 10, "several ports", "name:"),
    ("a port twice", SERVICE, "port: 14001", "port: 1\n  - name: other\n    port: 1", "OSM116", 11, "1/TCP", ""),
    ("spec as text", SERVICE, SERVICE[SERVICE.index("spec:") :], "spec: ports", "OSM112", 6, "a mapping", "indented"),
    ("a command that is no list", DEPLOYMENT, "[bookstore]", "bookstore", "OSM112", 17, "a list", "dash"),
    ("an argument that is a number", DEPLOYMENT, '"14001"]', "14001]", "OSM113", 18, "number 14001", '"14001"'),
    ("a variable that is a number", DEPLOYMENT, '"14001"\n', "14001\n", "OSM113", 21, "text", '"14001"'),
    ("a variable that is a boolean", DEPLOYMENT, '"14001"\n', "yes\n", "OSM113", 21, "boolean true", '"yes"'),
    ("misspelt containers", DEPLOYMENT, "containers", "conatiners", "OSM110", 15, "`conatiners`", "`containers`"),  # codespell:ignore conatiners
    ("a probe without an action", DEPLOYMENT, "httpGet", "httpget", "OSM146", 22, "none", ""),
    ("a selector that selects nothing", DEPLOYMENT, "      app: bookstore\n  t", "      app: store\n  t",
     "OSM145", 9, "app=store", "app: store"),
    ("a negative number of replicas", DEPLOYMENT, "replicas: 1", "replicas: -1", "OSM115", 6, "0 or more", ""),
    ("a destination elsewhere", TARGET, "    namespace: bookstore\n  rules", "    namespace: other\n  rules",
     "OSM142", 10, "other", "metadata.namespace"),
    ("a source that is a user", TARGET, "  - kind: ServiceAccount", "  - kind: User", "OSM140", 16, "User",
     "ServiceAccount"),
    ("a destination that is a service", TARGET, "    kind: ServiceAccount", "    kind: Service",
     "OSM140", 8, "Service", "ServiceAccount"),
    ("a rule of a kind that is not supported", TARGET, "HTTPRouteGroup", "UDPRoute",
     "OSM141", 12, "whole TrafficTarget", "TCPRoute"),
    ("a misspelt condition", GROUP, "methods: [GET]", "method: [GET]", "OSM111", 9, "widen access", "`methods`"),
    ("an unknown method", GROUP, "[GET]", "[GET, FETCH]", "OSM114", 9, "FETCH", ""),
    ("a method in lower case", GROUP, "[GET]", "[get]", "OSM114", 9, "get", "GET"),
    ("a glob for a regex", GROUP, ".*a-book.*new", "'*'", "OSM131", 8, "'*'", "'.*'"),
    ("a regex with look-ahead", GROUP, ".*a-book.*new", "'(?!a).*'", "OSM131", 8, "(?!", "look-ahead"),
    ("a regex that is too costly", GROUP, ".*a-book.*new", "'(a{30}){30}b{200}'", "OSM132", 8, "costly", "smaller"),
    ("a header's regex that is broken", GROUP, "host: bookstore", "host: '['", "OSM131", 11, "'['", ""),
    ("a header that is no name", GROUP, "host: bookstore", "'a b': x", "OSM136", 10, "'a b'", ""),
    ("a match without a name", GROUP, "  - name: buy-a-book\n    p", "  - p", "OSM110", 7, "`name`", ""),
    ("a negative weight", SPLIT, "weight: 50\n  -", "weight: -1\n  -", "OSM133", 9, "0 or more", ""),
    ("a weight in percent", SPLIT, "weight: 50\n  -", "weight: 50%\n  -", "OSM133", 9, "50%", "quantities"),
    ("weights that Envoy cannot add", SPLIT, "weight: 50\n  -", "weight: 4294967297\n  -",
     "OSM133", 7, "4294967295", "smaller"),
    ("a split without backends", SPLIT, SPLIT[SPLIT.index("  backends") :], "  backends: []\n", "OSM117", 7, "backend", "delete"),
    ("a split without a weight", SPLIT, "    weight: 50\n  -", "  -", "OSM110", 8, "`weight`", "weight:"),
    ("a TCPRoute without ports", ROUTE, "    ports: [3306]", "    ports:", "OSM110", 7, "`ports`", "a list"),
    ("a TCPRoute's misspelt ports", ROUTE, "ports: [", "port: [", "OSM110", 7, "`port`", "`ports`"),
    ("a port of a TCPRoute that is 0", ROUTE, "[3306]", "[3306, 0]", "OSM130", 7, "65535", ""),
    ("a log level that does not exist", CONFIG, "logLevel: error", "logLevel: verbose", "OSM114", 7, "trace", ""),
    ("a duration in days", CONFIG, "24h", "1d", "OSM134", 13, "'1d'", "24h"),
    ("a negative duration", CONFIG, "30s", "-30s", "OSM134", 8, "negative", ""),
    ("an address range that is none", CONFIG, "10.0.0.0/8", "10.0.0/8", "OSM135", 10, "10.0.0/8", ""),
    ("an address range without length", CONFIG, "10.0.0.0/8", "10.0.0.1", "OSM135", 10, "prefix", "/32"),
    ("an excluded port that is none", CONFIG, "[6379]", "[70000]", "OSM130", 11, "70000", ""),
    ("TLS versions that contradict", CONFIG, "logLevel: error", "tlsMinProtocolVersion: TLSv1_3\n    tlsMaxProtocolVersion: TLSv1_2", "OSM147", 7, "above", "tlsMax"),
    ("a switch that is text", CONFIG, "  traffic:\n", "  traffic:\n    enableEgress: 'yes'\n",
     "OSM112", 10, "true or false", ""),
]  # fmt: skip


def test_what_the_tables_start_from_is_good() -> None:
    parsed = parse("---\n".join(GOOD), file="mesh.yaml")
    assert parsed.findings == ()
    assert len(parsed.manifests) == len(GOOD)


@pytest.mark.parametrize(
    ("text", "old", "new", "code", "line", "message", "hint"),
    [case[1:] for case in BROKEN_TEXT + BROKEN_OBJECTS],
    ids=[case[0] for case in BROKEN_TEXT + BROKEN_OBJECTS],
)
@pytest.mark.parametrize(
    "ahead", ["", "# a header\n\n---\n" + ROUTE + "--- # next\n"], ids=["alone", "second"]
)
def test_broken_input_gets_a_code_the_exact_line_and_words_that_help(
    ahead: str, text: str, old: str, new: str, code: str, line: int, message: str, hint: str
) -> None:
    assert old in text
    before = ahead.count("\n")
    broken = ahead + text.replace(old, new, 1)
    behind = (broken if broken.endswith("\n") else broken + "\n") + "---\n" + CONFIG
    control = code == "OSM004"

    parsed = parse(behind, file="mesh.yaml")

    errors = [finding for finding in parsed.findings if finding.severity is Severity.ERROR]
    assert [(finding.code, finding.where) for finding in errors][:1] == [
        (code, f"mesh.yaml:{before + line}")
    ]
    assert message in errors[0].message
    assert hint in errors[0].hint
    good = [manifest.key.kind for manifest in parsed.manifests]
    assert good == ([] if control else [*(["TCPRoute"] if ahead else []), "MeshConfig"])


@pytest.mark.parametrize(
    ("data", "code", "where"),
    [
        (b"a: 1\nb: \xff\n", "OSM003", "f.yaml:2"),
        ("a: 1".encode("utf-16"), "OSM003", "f.yaml:1"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "OSM004", "f.yaml:1"),
        (b"a: 1\nb: 2\x00\n", "OSM004", "f.yaml:2"),
        (b"#" * (10 * 1024 * 1024 + 1), "OSM002", "f.yaml"),
        (b"[" * 5000, "OSM010", "f.yaml:1"),
        (b"".join(b" " * i + b"a:\n" for i in range(200)), "OSM010", "f.yaml:101"),
        (b"- 1\n- 2\n", "OSM012", "f.yaml:1"),
        (b"---\njust words\n", "OSM012", "f.yaml:2"),
        (b"? [a, b]\n: c\n", "OSM011", "f.yaml:1"),
        (b"%TAG !e! tag:example.com,2000:\n---\na: !e!x 1\n", "OSM008", "f.yaml:3"),
        (b"kind: List\napiVersion: v1\nitems:\n- a: 1\n", "OSM101", "f.yaml:4"),
    ],
)  # fmt: skip
def test_files_that_are_no_manifests_are_refused_with_their_line(
    data: bytes, code: str, where: str
) -> None:
    parsed = parse(data, file="f.yaml")
    assert parsed.manifests == ()
    assert (parsed.findings[0].code, parsed.findings[0].where) == (code, where)
    assert parsed.findings[0].hint or code in ("OSM010", "OSM011")
    assert parsed.unattributed


def test_an_alias_bomb_is_refused_at_the_line_where_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (finding,) = parse("\n".join(lines), file="f.yaml").findings
    assert finding.code == "OSM009"
    assert finding.where == "f.yaml:5"


def test_merges_cannot_multiply_without_bound() -> None:
    base = "base: &base\n" + "".join(f"  k{n}: 1\n" for n in range(1000))
    text = base + "".join(f"m{n}:\n  <<: *base\n" for n in range(200))
    assert parse(text, file="f.yaml").findings[0].code == "OSM009"


def test_several_mistakes_of_one_object_are_reported_together() -> None:
    text = (
        SERVICE.replace("14001", "0").replace("app: bookstore", "app: yes").replace("http", "HTTP!")
    )
    found = [(finding.code, finding.where) for finding in parse(text, file="f.yaml").findings]
    assert sorted(found) == [
        ("OSM113", "f.yaml:8"),
        ("OSM130", "f.yaml:10"),
        ("OSM130", "f.yaml:11"),
    ]


@pytest.mark.parametrize(
    ("text", "old", "new", "code", "line"),
    [
        (TARGET, "  destination:", "  destnation: x\n  destination:", "OSM111", 7),  # codespell:ignore destnation
        (CONFIG, "  traffic:\n", "  traffic:\n    enableEgres: true\n", "OSM111", 10),
        (CONFIG, "10.0.0.0/8", "10.0.0.1/8", "OSM135", 10),
        (SPLIT, "weight: 50", "weight: 0", "OSM144", 7),
        (TARGET, "\n  - kind: ServiceAccount\n    name: bookbuyer\n    namespace: bookbuyer", "", "OSM143", 15),
        (GROUP, "    headers:\n    - host: bookstore\n", "  - name: buy-a-book\n", "OSM116", 7),
        (SPLIT, "service: bookstore-v2", "service: bookstore-v1", "OSM116", 7),
    ],
)  # fmt: skip
def test_what_is_only_odd_is_warned_of_and_loads(
    text: str, old: str, new: str, code: str, line: int
) -> None:
    parsed = parse(text.replace(old, new), file="f.yaml")
    assert len(parsed.manifests) == 1
    assert {finding.severity for finding in parsed.findings} == {Severity.WARNING}
    assert (parsed.findings[0].code, parsed.findings[0].where) == (code, f"f.yaml:{line}")


def test_unknown_fields_of_kubernetes_objects_are_passed_over() -> None:
    text = SERVICE.replace("spec:\n", "spec:\n  sessionAffinity: None\n  ipFamilies: [IPv4]\n")
    parsed = parse(text, file="f.yaml")
    assert parsed.findings == ()
    assert len(parsed.manifests) == 1
