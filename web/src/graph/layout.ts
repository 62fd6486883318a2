/** Where nodes stand: layers in the direction of the traffic, with the apps of a namespace together. */

import { graphlib, layout } from "@dagrejs/dagre";
import type { Graph } from "./elements";

export const NODE_WIDTH = 184;
export const NODE_HEIGHT = 64;
/** Between layers there is room for an edge's figures and the borders of two namespaces. */
const GAP = { right: 158, down: 140 };
const ARROW = 3;
const TURN_FOR = 1.25;

/** Where the traffic goes on the picture. */
export type Direction = "right" | "down";

export interface Point {
  x: number;
  y: number;
}

export interface Layout {
  direction: Direction;
  places: Map<string, Point>;
}

/** Lay out a graph for a picture of this size: to the right, unless downwards shows it much larger. */
export function place(graph: Graph, size: { width: number; height: number }): Layout {
  const right = placeTowards(graph, "right");
  const down = placeTowards(graph, "down");
  const turns = scale(down, size) > TURN_FOR * scale(right, size);
  return turns ? { direction: "down", places: down } : { direction: "right", places: right };
}

/** Lay out a graph in one direction. Equal graphs get equal places. */
export function placeTowards(graph: Graph, direction: Direction): Map<string, Point> {
  const dagre = new graphlib.Graph({ compound: true, multigraph: true });
  const nodesep = direction === "right" ? 60 : 72;
  dagre.setGraph({ rankdir: direction === "right" ? "LR" : "TB", nodesep, ranksep: 100, edgesep: 40 });
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
    dagre.setEdge(edge.source, edge.target, {}, edge.id);
  }
  layout(dagre);
  const raw = new Map(graph.nodes.map((node) => [node.id, dagre.node(node.id) as Partial<Point>]));
  return layered(raw, direction);
}

/** Equal gaps between layers. The library leaves wide ones where a namespace begins or ends. */
function layered(raw: ReadonlyMap<string, Partial<Point>>, direction: Direction): Map<string, Point> {
  const along = (point: Partial<Point>) => Math.round((direction === "right" ? point.x : point.y) ?? 0);
  const layers = [...new Set([...raw.values()].map(along))].sort((a, b) => a - b);
  const step = direction === "right" ? NODE_WIDTH + GAP.right : NODE_HEIGHT + GAP.down;
  const places = new Map<string, Point>();
  for (const [id, point] of raw) {
    const layer = layers.indexOf(along(point)) * step;
    places.set(id, direction === "right" ? { x: layer, y: point.y ?? 0 } : { x: point.x ?? 0, y: layer });
  }
  return places;
}

function scale(places: ReadonlyMap<string, Point>, size: { width: number; height: number }): number {
  const points = [...places.values()];
  const extent = (of: (point: Point) => number) => Math.max(...points.map(of)) - Math.min(...points.map(of));
  if (points.length === 0) return 1;
  const width = extent((point) => point.x) + NODE_WIDTH + 60;
  const height = extent((point) => point.y) + NODE_HEIGHT + 90;
  return Math.min(size.width / width, size.height / height, 1.2);
}

/** The id of a namespace's box. No app can have it: names of Kubernetes have no colon. */
export function namespaceId(namespace: string): string {
  return `namespace:${namespace}`;
}

/** Where an edge leaves and arrives, relative to the middle of its nodes. */
export function ends(direction: Direction): { from: Point; to: Point } {
  return direction === "right"
    ? { from: { x: NODE_WIDTH / 2, y: 0 }, to: { x: -NODE_WIDTH / 2 - ARROW, y: 0 } }
    : { from: { x: 0, y: NODE_HEIGHT / 2 }, to: { x: 0, y: -NODE_HEIGHT / 2 - ARROW } };
}

/** The bends of a curve that leaves and arrives in the direction of the traffic. */
export function bends(from: Point, to: Point, direction: Direction): [Point, Point] {
  if (direction === "right") {
    const reach = Math.max(60, Math.abs(to.x - from.x) * 0.32);
    return [{ x: from.x + reach, y: from.y }, { x: to.x - reach, y: to.y }];
  }
  const reach = Math.max(45, Math.abs(to.y - from.y) * 0.32);
  return [{ x: from.x, y: from.y + reach }, { x: to.x, y: to.y - reach }];
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
