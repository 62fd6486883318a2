/** What the API sends: the values of osm.core.explain, as JSON. */

export interface WorkloadView {
  namespace: string;
  name: string;
  app: string;
  service_account: string;
  identity: string;
  phase: string;
  reason: string;
  restarts: number;
  services: string[];
  web: string;
}

export interface EdgeView {
  source_namespace: string;
  source: string;
  destination_namespace: string;
  destination: string;
  protocol: string;
  requests_per_second: number;
  success_percent: number | null;
  p50_ms: number | null;
  p99_ms: number | null;
  total: number;
  denied_per_second: number;
  denied_total: number;
  deny_reason: string;
  remedy: string;
  mutual_tls: boolean;
  split_percent: number | null;
  split_service: string;
}

export interface ResourceTypeView {
  type: string;
  resources: number;
  sent: number;
  acknowledged: number;
  refused: number;
  /** Empty again when the proxy has taken something newer. */
  last_error: string;
  subscribed: number;
  wildcard: boolean;
  bytes: number;
  pending: number;
  sent_ago_s: number | null;
  acknowledged_ago_s: number | null;
  /** The objects behind what it refuses. */
  at_fault: string[];
}

export interface ProxyView {
  namespace: string;
  name: string;
  identity: string;
  connected: boolean;
  in_sync: boolean;
  version: string;
  connected_s: number;
  certificate_expires: string;
  types: ResourceTypeView[];
}

export interface ObjectView {
  group: string;
  version: string;
  kind: string;
  namespace: string;
  name: string;
  where: string;
  status: string;
  summary: string;
  findings: string[];
}

export interface DenialView {
  time: string;
  source: string;
  destination: string;
  port: number;
  method: string;
  path: string;
  reason: string;
  count: number;
}

export interface PushView {
  trigger: string;
  compile_ms: number;
  deliver_ms: number;
  resources: number;
  pushes: number;
}

export interface Origin {
  kind: string;
  namespace: string;
  name: string;
  field: string;
  group: string;
}

export interface Finding {
  code: string;
  severity: string;
  origin: Origin | null;
  message: string;
  hint: string;
  where: string;
}

export interface ReplicaView {
  name: string;
  proxies: number;
  leads: boolean;
}

export interface MeshView {
  mesh: string;
  platform: string;
  policy_mode: string;
  trust_domain: string;
  started: string;
  now: string;
  window_s: number;
  page: string;
  directory: string;
  workloads: WorkloadView[];
  edges: EdgeView[];
  proxies: ProxyView[];
  objects: ObjectView[];
  denials: DenialView[];
  findings: Finding[];
  push: PushView;
  counters: [string, [string, number][]][];
  replicas: ReplicaView[];
}

export interface Question {
  source: string;
  destination: string;
  method: string;
  path: string;
  headers: [string, string][];
}

export interface Step {
  title: string;
  outcome: string;
  text: string;
  origins: Origin[];
}

export interface Explanation {
  question: Question;
  verdict: string;
  allowed: boolean;
  summary: string;
  steps: Step[];
  backends: [string, number][];
  remedy: string;
  /** What to do, in words: whole sentences. */
  advice: string[];
  workloads: string[];
}

/** Something that was refused, as a denial tells it; a TCP connection has no method. */
export interface Refusal {
  source: string;
  destination: string;
  port: number;
  method: string;
  path: string;
  reason: string;
  time: string;
  headers: [string, string][];
}

export interface ObjectItem {
  key: { group: string; kind: string; namespace: string; name: string };
  where: string;
  raw: unknown;
}

export interface LogLine {
  time: string;
  namespace: string;
  workload: string;
  container: string;
  text: string;
  error: boolean;
}
