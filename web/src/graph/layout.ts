/** Where nodes stand: layers from left to right, with the apps of a namespace side by side. */

import { graphlib, layout } from "@dagrejs/dagre";
import type { Graph } from "./elements";

export const NODE_WIDTH = 184;
export const NODE_HEIGHT = 64;

export interface Point {
  x: number;
  y: number;
}

/** Lay out a graph. Equal graphs get equal places. */
export function place(graph: Graph): Map<string, Point> {
  const dagre = new graphlib.Graph({ compound: true, multigraph: true });
  dagre.setGraph({ rankdir: "LR", nodesep: 56, ranksep: 150, edgesep: 40, marginx: 20, marginy: 20 });
  dagre.setDefaultEdgeLabel(() => ({}));
  for (const node of graph.nodes) {
    dagre.setNode(node.id, { width: NODE_WIDTH, height: NODE_HEIGHT });
    if (!node.namespace) continue;
    const parent = namespaceId(node.namespace);
    if (!dagre.hasNode(parent)) dagre.setNode(parent, {});
    dagre.setParent(node.id, parent);
  }
  for (const edge of graph.edges) {
    if (edge.source === edge.target) continue;
    dagre.setEdge(edge.source, edge.target, { weight: edge.state === "denied" ? 1 : 2 }, edge.id);
  }
  layout(dagre);
  const places = new Map<string, Point>();
  for (const node of graph.nodes) {
    const { x = 0, y = 0 } = dagre.node(node.id) as Partial<Point>;
    places.set(node.id, { x, y });
  }
  return places;
}

/** The id of a namespace's box. No app can have it: names of Kubernetes have no colon. */
export function namespaceId(namespace: string): string {
  return `namespace:${namespace}`;
}

/** The bends of a curve that leaves to the right and arrives from the left. */
export function bends(from: Point, to: Point): [Point, Point] {
  const reach = Math.max(70, Math.abs(to.x - from.x) * 0.32);
  return [
    { x: from.x + reach, y: from.y },
    { x: to.x - reach, y: to.y },
  ];
}

/** A point as the library wants it: its share of the way, and its distance to the left of the line. */
export function relative(point: Point, from: Point, to: Point): { weight: number; distance: number } {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const [px, py] = [point.x - from.x, point.y - from.y];
  return {
    weight: (px * dx + py * dy) / (length * length),
    distance: (py * dx - px * dy) / length,
  };
}
