/** Small views to test with. */

import type { EdgeView, MeshView, WorkloadView } from "../src/model";

export function workload(namespace: string, name: string, rest: Partial<WorkloadView> = {}): WorkloadView {
  return {
    namespace,
    name,
    app: name,
    service_account: name,
    identity: `spiffe://cluster.local/ns/${namespace}/sa/${name}`,
    phase: "ready",
    reason: "",
    restarts: 0,
    services: [],
    web: "",
    ...rest,
  };
}

export function edge(source: string, destination: string, rest: Partial<EdgeView> = {}): EdgeView {
  return {
    source_namespace: source,
    source,
    destination_namespace: destination,
    destination,
    protocol: "http",
    requests_per_second: 5,
    success_percent: 100,
    p50_ms: 1,
    p99_ms: 9,
    total: 50,
    denied_per_second: 0,
    denied_total: 0,
    deny_reason: "",
    remedy: "",
    mutual_tls: true,
    split_percent: null,
    split_service: "",
    ...rest,
  };
}

export function mesh(rest: Partial<MeshView> = {}): MeshView {
  return {
    mesh: "osm",
    platform: "local",
    policy_mode: "smi",
    trust_domain: "cluster.local",
    started: "2026-01-01T00:00:00Z",
    now: "2026-01-01T00:01:00Z",
    window_s: 10,
    page: "",
    directory: "",
    workloads: [],
    edges: [],
    proxies: [],
    objects: [],
    denials: [],
    findings: [],
    push: { trigger: "", compile_ms: 0, deliver_ms: 0, resources: 0, pushes: 0 },
    counters: [],
    replicas: [],
    ...rest,
  };
}
