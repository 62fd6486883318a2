"""A collector of OTLP logs (gRPC) and Zipkin spans (JSON, version 2), for tests: keeps what it gets.

`python -m tests.mesh.collector GRPC_PORT HTTP_PORT` is one in a pod of its own. GET `/logs` and
`/spans` at its HTTP port answer with what there is.
"""

import json
import os
import sys
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

import grpc

from osm._envoy.opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from osm._envoy.opentelemetry.proto.common.v1 import common_pb2

EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
Spans = list[dict[str, Any]]


class Collector:
    """`logs` are entries with `body`, `attributes` and `resource`, `spans` are as they came."""

    def __init__(self, address: str = "127.0.0.1", grpc_port: int = 0, http_port: int = 0) -> None:
        self.logs: list[dict[str, Any]] = []
        self.spans: Spans = []
        self._grpc = grpc.server(futures.ThreadPoolExecutor(4))
        self._grpc.add_generic_rpc_handlers((_Logs(self.logs),))
        self.grpc_port = self._grpc.add_insecure_port(f"{address}:{grpc_port}")
        kept = {"/logs": self.logs, "/spans": self.spans}
        handler = type("Handler", (_Handler,), {"kept": kept})
        self._http = ThreadingHTTPServer((address, http_port), handler)
        self.http_port: int = self._http.server_address[1]

    def serve(self) -> None:
        """Serve until the process ends."""
        self._grpc.start()
        self._http.serve_forever()

    def stop(self) -> None:
        self._grpc.stop(0).wait()
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Self:
        Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Logs(grpc.GenericRpcHandler):
    def __init__(self, kept: list[dict[str, Any]]) -> None:
        self._kept = kept

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method != EXPORT:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._take,
            request_deserializer=logs_service_pb2.ExportLogsServiceRequest.FromString,
            response_serializer=logs_service_pb2.ExportLogsServiceResponse.SerializeToString,
        )

    def _take(
        self, request: logs_service_pb2.ExportLogsServiceRequest, _: object
    ) -> logs_service_pb2.ExportLogsServiceResponse:
        for resource in request.resource_logs:
            who = _plain_pairs(resource.resource.attributes)
            # What OpenTelemetry calls `scope_logs` today has the same number.
            for scope in resource.instrumentation_library_logs:
                self._kept += [
                    {
                        "body": _plain(record.body),
                        "attributes": _plain_pairs(record.attributes),
                        "resource": who,
                    }
                    for record in scope.logs
                ]
        return logs_service_pb2.ExportLogsServiceResponse()


def _plain(value: common_pb2.AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return _plain_pairs(value.kvlist_value.values)
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


def _plain_pairs(pairs: Any) -> dict[str, Any]:
    return {pair.key: _plain(pair.value) for pair in pairs}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kept: dict[str, list[dict[str, Any]]]

    def do_GET(self) -> None:
        self._answer(200, json.dumps(self.kept.get(self.path, [])))

    def do_POST(self) -> None:
        body = self._body()
        if self.path != "/api/v2/spans" or self.headers["content-type"] != "application/json":
            self._answer(404, "")
            return
        try:
            spans = json.loads(body)
            problems = [text for span in spans if (text := problem(span))]
        except (ValueError, TypeError) as error:
            problems = [str(error)]
        if problems:
            self._answer(400, json.dumps(problems))
            return
        self.kept["/spans"] += spans
        self._answer(202, "")

    def _body(self) -> bytes:
        if "content-length" in self.headers:
            return self.rfile.read(int(self.headers["content-length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):  # in chunks, as Envoy sends
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        pass


def problem(span: dict[str, Any]) -> str:
    """What makes a span none of Zipkin's version 2, by its API's description; else empty."""
    for name, lengths, needed in (
        ("traceId", (16, 32), True),
        ("id", (16,), True),
        ("parentId", (16,), False),
    ):
        text = span.get(name, "" if needed else "0" * 16)
        if len(text) not in lengths or set(text) - set("0123456789abcdef"):
            return f"{name} is {text!r}"
    if span.get("kind") not in ("CLIENT", "SERVER"):
        return f"kind is {span.get('kind')!r}"
    if not (isinstance(span.get("timestamp"), int) and isinstance(span.get("duration"), int)):
        return "timestamp and duration are microseconds"
    if not span["localEndpoint"]["serviceName"]:
        return "whose span it is is not said"
    if not all(isinstance(value, str) for value in span.get("tags", {}).values()):
        return "tags are texts"
    return ""


if __name__ == "__main__":
    everywhere = os.environ.get("BIND_ADDRESS", "0.0.0.0")
    Collector(everywhere, int(sys.argv[1]), int(sys.argv[2])).serve()
