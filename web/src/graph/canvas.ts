/** The part of the picture that cytoscape draws: lines, arrows and namespaces; and how one moves in it. */

import cytoscape, { type Core, type EdgeSingular, type ElementDefinition, type StylesheetJson } from "cytoscape";
import type { AppEdge, Graph } from "./elements";
import { bends, type Direction, ends, namespaceId, NODE_HEIGHT, NODE_WIDTH, type Point, place, relative } from "./layout";
import type { Way } from "./way";

const PADDING = 44;
const MOVE_MS = 350;
const MAX_FIT_ZOOM = 1.15;

export const isStill = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** An empty canvas in an element. */
export function openCanvas(container: HTMLElement): Core {
  return cytoscape({
    container,
    style: styles(container),
    minZoom: 0.15,
    maxZoom: 2.5,
    boxSelectionEnabled: false,
    autounselectify: true,
    // The list beside the picture and the buttons on it are what a keyboard and a screen reader use.
    elements: [],
  });
}

/** Bring the canvas to a graph's elements and figures. Places stay as they are. */
export function show(canvas: Core, graph: Graph): void {
  const wanted = new Map(elements(graph).map((element) => [String(element.data.id), element]));
  canvas.batch(() => {
    for (const old of canvas.elements().toArray()) if (!wanted.has(old.id())) old.remove();
    for (const [id, element] of wanted) {
      const old = canvas.getElementById(id);
      if (old.empty()) canvas.add(element);
      else if (element.group === "edges") old.data({ width: element.data["width"], state: element.data["state"] });
    }
  });
}

/** Lay out anew; nodes that were there already move to their new places. */
export function arrange(canvas: Core, graph: Graph, animated: boolean): void {
  const { places, direction } = place(graph, { width: canvas.width(), height: canvas.height() });
  canvas.edges().data("direction", direction);
  canvas.nodes("[?app]").forEach((node) => {
    const target = places.get(node.id());
    if (!target) return;
    if (animated && !isStill()) node.animate({ position: target }, { duration: MOVE_MS, easing: "ease-in-out" });
    else node.position(target);
  });
  if (animated && !isStill()) setTimeout(() => { if (!canvas.destroyed()) fit(canvas); }, MOVE_MS + 50);
  else fit(canvas);
}

/** Show everything, but do not blow up a small graph. */
export function fit(canvas: Core): void {
  canvas.resize();
  canvas.fit(undefined, PADDING);
  if (canvas.zoom() > MAX_FIT_ZOOM) {
    canvas.zoom(MAX_FIT_ZOOM);
    canvas.center();
  }
}

export function zoomBy(canvas: Core, factor: number): void {
  canvas.zoom({ level: canvas.zoom() * factor, renderedPosition: { x: canvas.width() / 2, y: canvas.height() / 2 } });
}

/** The way of an edge in the canvas' own coordinates, or null while it has none. */
export function wayOf(edge: EdgeSingular): Way | null {
  const [from, to] = [edge.sourceEndpoint(), edge.targetEndpoint()];
  if (!from || !to || Number.isNaN(from.x) || Number.isNaN(to.x)) return null;
  return { from, to, bends: edge.controlPoints() ?? [] };
}

function elements(graph: Graph): ElementDefinition[] {
  const namespaces = [...new Set(graph.nodes.map((node) => node.namespace))].filter(Boolean);
  return [
    ...namespaces.map((name): ElementDefinition => ({ group: "nodes", data: { id: namespaceId(name), label: name }, grabbable: false })),
    ...graph.nodes.map((node): ElementDefinition => ({
      group: "nodes",
      data: { id: node.id, app: node.app, ...(node.namespace ? { parent: namespaceId(node.namespace) } : {}) },
    })),
    ...graph.edges.map(edgeElement),
  ];
}

function edgeElement(edge: AppEdge): ElementDefinition {
  const { id, source, target, width, state } = edge;
  return { group: "edges", data: { id, source, target, width, state } };
}

/** Styles from the page's own colours, so that light and dark need no second list. */
export function styles(container: HTMLElement): StylesheetJson {
  const colours = getComputedStyle(container);
  const colour = (name: string) => colours.getPropertyValue(`--${name}`).trim();
  const font = colours.getPropertyValue("font-family");
  const line = (state: string, value: string): StylesheetJson[number] => ({
    selector: `edge[state = "${state}"]`,
    style: { "line-color": value, "target-arrow-color": value },
  });
  return [
    {
      selector: "node[?app]",
      style: { shape: "round-rectangle", width: NODE_WIDTH, height: NODE_HEIGHT, "background-opacity": 0, "overlay-opacity": 0 },
    },
    {
      selector: "node[label]",
      style: {
        shape: "round-rectangle",
        "corner-radius": "14px",
        "background-color": colour("namespace"),
        "background-opacity": 1,
        "border-width": 1,
        "border-color": colour("border"),
        "overlay-opacity": 0,
        padding: "24px",
        label: "data(label)",
        color: colour("muted"),
        "font-family": font,
        "font-size": 13,
        "font-weight": 600,
        "text-valign": "top",
        "text-margin-y": -7,
      },
    },
    {
      selector: "edge",
      style: {
        width: "data(width)",
        "curve-style": "unbundled-bezier",
        "edge-distances": "endpoints",
        "source-endpoint": (edge: EdgeSingular) => pixels(ends(directionOf(edge)).from),
        "target-endpoint": (edge: EdgeSingular) => pixels(ends(directionOf(edge)).to),
        "control-point-weights": (edge: EdgeSingular) => bend(edge).map((point) => point.weight),
        "control-point-distances": (edge: EdgeSingular) => bend(edge).map((point) => point.distance),
        "target-arrow-shape": "triangle",
        "arrow-scale": 0.95,
        "overlay-opacity": 0,
      },
    },
    { selector: "edge:loop", style: { "curve-style": "bezier", "source-endpoint": "outside-to-node", "target-endpoint": "outside-to-node" } },
    line("ok", colour("flow")),
    line("idle", colour("idle")),
    line("degraded", colour("warning-line")),
    line("failing", colour("error-line")),
    line("partly-denied", colour("warning-line")),
    line("denied", colour("error-line")),
    { selector: 'edge[state = "denied"]', style: { "line-style": "dashed", "line-dash-pattern": [8, 6] } },
    { selector: ".away", style: { opacity: 0.25 } },
  ] as StylesheetJson;
}

function bend(edge: EdgeSingular): { weight: number; distance: number }[] {
  const direction = directionOf(edge);
  const end = ends(direction);
  const from = sum(edge.source().position(), end.from);
  const to = sum(edge.target().position(), end.to);
  return bends(from, to, direction).map((point) => relative(point, from, to));
}

function directionOf(edge: EdgeSingular): Direction {
  return edge.data("direction") === "down" ? "down" : "right";
}

function sum(a: Point, b: Point): Point {
  return { x: a.x + b.x, y: a.y + b.y };
}

function pixels(point: Point): string {
  return `${point.x}px ${point.y}px`;
}
