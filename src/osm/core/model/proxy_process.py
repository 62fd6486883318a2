"""How every Envoy of the mesh is started, beside its bootstrap: by the same arguments everywhere."""


def proxy_arguments(log_level: str, *, threads: int) -> tuple[str, ...]:
    """Arguments of `envoy`. Each of its `threads` has connections, and memory, of its own."""
    return (
        *("--disable-hot-restart", "--concurrency", str(threads)),
        *("--log-level", log_level, "--log-format", "%l:%n:%v"),
        # What was logged is seen at once; Envoy would keep it for up to 10 s.
        *("--file-flush-interval-msec", "500"),
        # HTTP connections whose chain has changed end with their next answer, not at a random one in
        # ten minutes: until then the old configuration counts for them.
        *("--drain-strategy", "immediate"),
    )
