"""Envoy's authorization API in front of a real OPA, which speaks its own (the plugin is not built here).

`python opa_adapter.py PORT URL` asks the rule at `URL` about each check; `input` is as the plugin's. The
rule is true or false, or an object: `allowed`, and `headers`, `status`, `body` and, for tests of time
limits, `wait_s`.
"""

import json
import sys
import time
import urllib.request
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import json_format

from osm._envoy.envoy.config.core.v3 import base_pb2
from osm._envoy.envoy.service.auth.v3 import external_auth_pb2

OK, DENIED = 0, 7
Headers = list[base_pb2.HeaderValueOption]


def check(url: str, request: external_auth_pb2.CheckRequest) -> external_auth_pb2.CheckResponse:
    """Ask OPA."""
    document = {"input": json_format.MessageToDict(request)}
    question = urllib.request.Request(  # noqa: S310 - the URL is the test's own
        url, json.dumps(document).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(question, timeout=10) as answer:  # noqa: S310
        found: Any = json.load(answer).get("result", False)
    decision: dict[str, Any] = found if isinstance(found, dict) else {"allowed": bool(found)}
    time.sleep(decision.get("wait_s", 0))
    headers = [
        base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=name, value=value))
        for name, value in decision.get("headers", {}).items()
    ]
    response = external_auth_pb2.CheckResponse()
    if decision["allowed"]:
        response.status.code = OK
        response.ok_response.headers.extend(headers)
    else:
        response.status.code = DENIED
        response.denied_response.status.code = decision.get("status", 403)
        response.denied_response.headers.extend(headers)
        response.denied_response.body = decision.get("body", "")
    return response


def main() -> None:
    """Serve until the process ends."""
    port, url = sys.argv[1:]
    service = "envoy.service.auth.v3.Authorization"
    handler = grpc.unary_unary_rpc_method_handler(
        lambda request, _: check(url, request),
        request_deserializer=external_auth_pb2.CheckRequest.FromString,
        response_serializer=external_auth_pb2.CheckResponse.SerializeToString,
    )
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"Check": handler}),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
