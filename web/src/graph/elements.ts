/** From a view to what is drawn: one node per app, one edge per pair of apps and protocol. */

import type { EdgeView, MeshView, WorkloadView } from "../model";

export type EdgeState = "denied" | "partly-denied" | "failing" | "degraded" | "ok" | "idle";

export interface AppNode {
  id: string;
  namespace: string;
  app: string;
  /** The app's name without its version. */
  title: string;
  /** `v2` of `bookstore-v2`, or empty. */
  version: string;
  workloads: WorkloadView[];
  ready: number;
  status: "ok" | "warning" | "error" | "unknown";
  /** What the status means, in words. */
  statusText: string;
}

export interface AppEdge {
  id: string;
  source: string;
  target: string;
  state: EdgeState;
  width: number;
  edge: EdgeView;
}

export interface Graph {
  nodes: AppNode[];
  edges: AppEdge[];
  /** How many apps are not drawn, because a picture of so many would show nothing. */
  hidden: number;
}

const MOST_NODES = 200;

export function appId(namespace: string, app: string): string {
  return `${namespace}/${app}`;
}

export function edgeId(edge: EdgeView): string {
  const source = appId(edge.source_namespace, edge.source);
  return `${source} → ${appId(edge.destination_namespace, edge.destination)} ${edge.protocol}`;
}

/** Build the graph. The order of nodes and edges depends on their names only. */
export function graphOf(view: MeshView, mostNodes: number = MOST_NODES): Graph {
  const nodes = new Map<string, AppNode>();
  for (const workload of view.workloads) {
    const node = nodeFor(nodes, workload.namespace, workload.app || workload.name);
    node.workloads.push(workload);
  }
  const traffic = new Map<string, number>();
  const edges = view.edges.map((edge): AppEdge => {
    const source = nodeFor(nodes, edge.source_namespace, edge.source).id;
    const target = nodeFor(nodes, edge.destination_namespace, edge.destination).id;
    const rate = edge.requests_per_second + edge.denied_per_second;
    for (const id of [source, target]) traffic.set(id, (traffic.get(id) ?? 0) + rate);
    return { id: edgeId(edge), source, target, state: edgeState(edge), width: edgeWidth(rate), edge };
  });
  const all = [...nodes.values()].map(judged);
  const shown = busiest(all, traffic, mostNodes).sort(byId);
  const ids = new Set(shown.map((node) => node.id));
  return {
    nodes: shown,
    edges: edges.filter((edge) => ids.has(edge.source) && ids.has(edge.target)).sort(byId),
    hidden: all.length - shown.length,
  };
}

function busiest(nodes: AppNode[], traffic: ReadonlyMap<string, number>, most: number): AppNode[] {
  if (nodes.length <= most) return nodes;
  return nodes.sort((a, b) => (traffic.get(b.id) ?? 0) - (traffic.get(a.id) ?? 0)).slice(0, most);
}

function nodeFor(nodes: Map<string, AppNode>, namespace: string, app: string): AppNode {
  const id = appId(namespace, app);
  let node = nodes.get(id);
  if (!node) {
    const version = /^(.+)-(v\d[\w.]*)$/.exec(app);
    node = {
      id,
      namespace,
      app,
      title: version?.[1] ?? app,
      version: version?.[2] ?? "",
      workloads: [],
      ready: 0,
      status: "unknown",
      statusText: "outside of the mesh",
    };
    nodes.set(id, node);
  }
  return node;
}

function judged(node: AppNode): AppNode {
  const count = node.workloads.length;
  if (count === 0) return node;
  const ready = node.workloads.filter((workload) => workload.phase === "ready").length;
  const failed = node.workloads.some((workload) => workload.phase === "failed");
  const phases = [...new Set(node.workloads.map((workload) => workload.phase))].filter((phase) => phase !== "ready");
  return {
    ...node,
    ready,
    status: failed || ready === 0 ? (phases.every((phase) => phase === "starting") ? "warning" : "error") : ready < count ? "warning" : "ok",
    statusText: ready < count && count === 1 ? phases.join() : [`${ready}/${count} ready`, ...phases].join(", "),
  };
}

export function edgeState(edge: EdgeView): EdgeState {
  if (edge.denied_per_second > 0) return edge.requests_per_second > 0 ? "partly-denied" : "denied";
  if (edge.requests_per_second === 0) return edge.total === 0 && edge.denied_total > 0 ? "denied" : "idle";
  if (edge.success_percent !== null && edge.success_percent < 95) return "failing";
  if (edge.success_percent !== null && edge.success_percent < 99) return "degraded";
  return "ok";
}

/** Thicker with more traffic, by its logarithm: ten times the rate must not be ten times the line. */
export function edgeWidth(rate: number): number {
  return Math.min(9, 1.6 + 1.1 * Math.log2(1 + rate));
}

/** What the layout depends on. Numbers do not belong to it: they must not move anything. */
export function shape(graph: Graph): { nodes: string[]; edges: string[] } {
  return { nodes: graph.nodes.map((node) => node.id), edges: graph.edges.map((edge) => edge.id) };
}

/** Whether nodes or edges appeared, or nodes went, so that the picture must be laid out anew. */
export function needsLayout(before: Graph | null, after: Graph): boolean {
  if (!before) return true;
  const [old, now] = [shape(before), shape(after)];
  const oldNodes = new Set(old.nodes);
  const oldEdges = new Set(old.edges);
  return (
    old.nodes.length !== now.nodes.length ||
    now.nodes.some((id) => !oldNodes.has(id)) ||
    now.edges.some((id) => !oldEdges.has(id))
  );
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
