"""The control plane's own metrics: OSM's names (`reference/osm.md` §5.3), and a few more.

Only what is really counted is here. Series of a proxy go when the proxy goes, so that pods that
come and go leave nothing behind.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from osm.telemetry.bare_counter import BareCounter

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 90)
_FINE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, *_SECONDS)
"""OSM's, and finer ones before them: its buckets begin where our slowest answers are."""

_PROXY = ("proxy_uuid", "identity", "type")


class ControlPlaneMetrics:
    """The metrics of one control plane, on the registry that it is given."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        version: str,
        build_date: str = "",
        git_commit: str = "",
    ) -> None:
        self.registry = registry
        self._connected = Gauge(
            "osm_proxy_connect_count", "Proxies connected to the control plane", registry=registry
        )
        self._reconnects = BareCounter(
            "osm_proxy_reconnect_count", "Proxies that connected again", (), registry
        )
        self._sent = BareCounter(
            "osm_proxy_response_send_success_count", "Responses sent to proxies", _PROXY, registry
        )
        self._unsent = BareCounter(
            "osm_proxy_response_send_error_count", "Responses not sent", _PROXY, registry
        )
        self._requests = BareCounter(
            "osm_proxy_xds_request_count", "Requests made by proxies", _PROXY, registry
        )
        self._broadcasts = BareCounter(
            "osm_proxy_broadcast_event_count", "Changes that concerned every proxy", (), registry
        )
        self._updates = Histogram(
            "osm_proxy_config_update_time",
            "Seconds from sending a response to its acknowledgement (or refusal) by a proxy",
            ("resource_type", "success"),
            buckets=_FINE_SECONDS,
            registry=registry,
        )
        self._nacks = BareCounter(
            "osm_proxy_nack_count", "Configurations that a proxy refused", ("type",), registry
        )
        self._bytes = BareCounter(
            "osm_proxy_push_bytes", "Bytes of configuration sent to proxies", ("type",), registry
        )
        self._pushes = BareCounter(
            "osm_proxy_push_count", "Responses sent to proxies", ("type",), registry
        )
        self._resources = BareCounter(
            "osm_proxy_push_resource_count", "Resources sent to proxies", ("type",), registry
        )
        self._triggers = BareCounter(
            "osm_proxy_push_trigger_count",
            "Why there was a response: what kind of object changed, or a request",
            ("trigger", "type"),
            registry,
        )
        self._queue_time = Histogram(
            "osm_proxy_push_queue_time",
            "Seconds from a change (or a request) to the response on the wire",
            ("type",),
            buckets=_FINE_SECONDS,
            registry=registry,
        )
        self._cut_off = BareCounter(
            "osm_proxy_cut_off_count", "Streams ended since the proxy took nothing", (), registry
        )
        self._pending = _Pending(registry)
        self._lag = Histogram(
            "osm_event_loop_lag_seconds",
            "How late the event loop wakes a sleeper",
            buckets=_FINE_SECONDS,
            registry=registry,
        )
        self._worst_lag = _Worst(
            "osm_event_loop_lag_max_seconds", "The longest lag since the last scrape", registry
        )
        # Histograms take a lock to find the series of labels; these are looked up for each response.
        self._update_series: dict[tuple[str, bool], Histogram] = {}
        self._queue_series: dict[str, Histogram] = {}
        self._refused = BareCounter(
            "osm_authentication_refused_count",
            "Clients that were not believed",
            ("reason",),
            registry,
        )
        self._issued = BareCounter("osm_cert_issued_count", "Certificates issued", (), registry)
        self._issue_time = Histogram(
            "osm_cert_issued_time",
            "Seconds to issue a certificate",
            buckets=_FINE_SECONDS,
            registry=registry,
        )
        self._issue_failures = BareCounter(
            "osm_cert_issue_error_count", "Certificates not issued, by cause", ("cause",), registry
        )
        self._root_expiry = Gauge(
            "osm_root_certificate_expiry_timestamp_seconds",
            "When the root certificate ends",
            registry=registry,
        )
        self._leads = Gauge(
            "osm_controller_leads",
            "Whether this replica is the one that writes to the cluster",
            registry=registry,
        )
        self._queued = Gauge(
            "osm_events_queued", "Changes waiting to be compiled", registry=registry
        )
        Gauge(
            "osm_version_info",
            "The version of the control plane; always 1",
            ("version", "build_date", "git_commit"),
            registry=registry,
        ).labels(version, build_date, git_commit).set(1)

    def connected(self, *, again: bool = False) -> None:
        """A proxy's stream began; `again` when that proxy was here before."""
        self._connected.inc()
        if again:
            self._reconnects.increment()

    def disconnected(self) -> None:
        self._connected.dec()

    def forget(self, proxy: str) -> None:
        """Drop the series of a proxy that is gone for good."""
        for counter in (self._sent, self._unsent, self._requests):
            counter.remove(proxy)

    def requested(self, proxy: str, identity: str, type_url: str) -> None:
        self._requests.increment(proxy, identity, type_url)

    def sent(
        self,
        proxy: str,
        identity: str,
        type_url: str,
        *,
        size: int,
        resources: int,
        queued_s: float,
        triggers: Iterable[str],
    ) -> None:
        """A response of `size` bytes went out, `queued_s` after the first reason for it."""
        self._sent.increment(proxy, identity, type_url)
        self._pushes.increment(type_url)
        self._bytes.increment(type_url, by=size)
        self._resources.increment(type_url, by=resources)
        for trigger in triggers:
            self._triggers.increment(trigger or "other", type_url)
        series = self._queue_series.get(type_url)
        if series is None:
            series = self._queue_series[type_url] = self._queue_time.labels(type_url)
        series.observe(queued_s)

    def not_sent(self, proxy: str, identity: str, type_url: str) -> None:
        self._unsent.increment(proxy, identity, type_url)

    def acknowledged(self, type_url: str, seconds: float) -> None:
        """A proxy took a response, this long after it was sent."""
        self._settled(type_url, seconds, success=True)

    def refused_configuration(self, type_url: str, seconds: float) -> None:
        """A proxy refused a response (NACK)."""
        self._settled(type_url, seconds, success=False)
        self._nacks.increment(type_url)

    def _settled(self, type_url: str, seconds: float, *, success: bool) -> None:
        series = self._update_series.get((type_url, success))
        if series is None:
            series = self._updates.labels(type_url, "true" if success else "false")
            self._update_series[type_url, success] = series
        series.observe(seconds)

    def cut_off(self) -> None:
        """A proxy took nothing for so long that its stream was ended."""
        self._cut_off.increment()

    def watch_pending(self, pending: Callable[[], Mapping[str, int]]) -> None:
        """`pending` counts the responses that are not answered yet, by type, when we are asked."""
        self._pending.count = pending

    def loop_lag(self, seconds: float) -> None:
        """The event loop woke somebody up this late."""
        self._lag.observe(seconds)
        self._worst_lag.observe(seconds)

    def refused_client(self, reason: str) -> None:
        """A client's certificate or token was not believed; `reason` is short and fixed."""
        self._refused.increment(reason)

    def broadcast(self) -> None:
        self._broadcasts.increment()

    def certificate(self, outcome: str, seconds: float) -> None:
        """What `CertificateKeeper` observes: `issued`, `failed` or `limited`."""
        if outcome == "issued":
            self._issued.increment()
            self._issue_time.observe(seconds)
        else:
            self._issue_failures.increment(outcome)

    def leads(self, leads: bool) -> None:  # noqa: FBT001 (what is observed)
        """Whether this replica writes."""
        self._leads.set(leads)

    def root_expires(self, at: datetime) -> None:
        self._root_expiry.set(at.timestamp())

    def events_queued(self, count: int) -> None:
        self._queued.set(count)


class _Pending:
    """Counted when it is read: proxies that go take their share with them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.count: Callable[[], Mapping[str, int]] = dict
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "osm_proxy_pending_responses",
            "Responses that proxies have not answered yet",
            labels=("type",),
        )
        for type_url, count in sorted(self.count().items()):
            family.add_metric((type_url,), count)
        yield family


class _Worst:
    """The largest value since the last time that it was read."""

    def __init__(self, name: str, help_text: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._help = help_text
        self._worst = 0.0
        registry.register(self)

    def observe(self, value: float) -> None:
        self._worst = max(self._worst, value)

    def collect(self) -> Iterable[Metric]:
        worst, self._worst = self._worst, 0.0
        yield GaugeMetricFamily(self._name, self._help, worst)
