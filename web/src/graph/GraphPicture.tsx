import { effect, signal, useSignal } from "@preact/signals";
import type { Core } from "cytoscape";
import { useEffect, useRef } from "preact/hooks";
import { Icon, type IconName } from "../parts/Icon";
import { graph, selection } from "../state";
import { arrange, fit, isStill, openCanvas, show, styles, wayOf, zoomBy } from "./canvas";
import { EdgeBadge } from "./EdgeBadge";
import { type Graph, needsLayout } from "./elements";
import type { Point } from "./layout";
import { NodeCard } from "./NodeCard";
import { path, spread, type Way } from "./way";

/** Where everything is drawn just now. */
interface Places {
  nodes: ReadonlyMap<string, Point>;
  edges: ReadonlyMap<string, { path: string; middle: Point }>;
}

const NOWHERE: Places = { nodes: new Map(), edges: new Map() };
const MOST_FLOWS = 120;

/** The live graph: lines by the canvas below, cards and figures by the page above, moved together. */
export function GraphPicture() {
  const box = useRef<HTMLDivElement>(null);
  const layer = useRef<HTMLDivElement>(null);
  const canvas = useRef<Core | null>(null);
  const places = useSignal<Places>(NOWHERE);

  useEffect(() => {
    if (!box.current || !layer.current) return undefined;
    const picture = mount(box.current, layer.current, (now) => { places.value = now; });
    canvas.current = picture.canvas;
    return picture.close;
  }, []);

  const act = (what: (core: Core) => void) => () => { if (canvas.current) what(canvas.current); };
  return (
    <section class="graph" aria-label="Graph">
      <div ref={box} class="graph-canvas __________cytoscape_container" aria-hidden="true" />
      <div ref={layer} class="graph-layer">
        <Overlay places={places.value} />
      </div>
      <div class="graph-tools" role="toolbar" aria-label="Picture">
        <Tool icon="plus" name="Zoom in" onClick={act((core) => zoomBy(core, 1.3))} />
        <Tool icon="minus" name="Zoom out" onClick={act((core) => zoomBy(core, 1 / 1.3))} />
        <Tool icon="fit" name="Show everything" onClick={act(fit)} />
        <Tool icon="arrange" name="Arrange" onClick={act((core) => { if (graph.value) arrange(core, graph.value, true); })} />
      </div>
      <Legend />
      {graph.value && graph.value.hidden > 0 ? <p class="graph-note">{`The ${graph.value.nodes.length} busiest apps are drawn; ${graph.value.hidden} are not.`}</p> : null}
    </section>
  );
}

function Overlay({ places }: { places: Places }) {
  const picture = graph.value;
  if (!picture) return null;
  const chosen = selection.value;
  const nearby = chosen ? neighbours(picture, chosen.id) : null;
  const away = (id: string) => nearby !== null && !nearby.has(id);
  const flowing = picture.edges.length <= MOST_FLOWS ? picture.edges : [];
  return (
    <>
      <svg class="graph-flows" aria-hidden="true">
        {flowing.map((edge) => {
          const place = places.edges.get(edge.id);
          if (!place || edge.edge.requests_per_second <= 0) return null;
          return <path key={edge.id} d={place.path} class={`flow flow-${speed(edge.edge.requests_per_second)} ${away(edge.id) ? "away" : ""}`} />;
        })}
      </svg>
      {picture.nodes.map((node) => {
        const place = places.nodes.get(node.id);
        return place ? <NodeCard key={node.id} node={node} place={place} away={away(node.id)} /> : null;
      })}
      {picture.edges.map((edge) => {
        const place = places.edges.get(edge.id);
        return place ? <EdgeBadge key={edge.id} item={edge} place={place.middle} away={away(edge.id)} /> : null;
      })}
    </>
  );
}

/** Start the canvas and keep it at the newest graph. */
function mount(box: HTMLElement, layer: HTMLElement, moved: (places: Places) => void) {
  const canvas = openCanvas(box);
  let drawn: Graph | null = null;
  let touched = false;
  const ready = signal(false);

  const follow = () => {
    const { x, y } = canvas.pan();
    layer.style.transform = `translate(${x}px, ${y}px) scale(${canvas.zoom()})`;
  };
  let asked = 0;
  const place = () => {
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(() => { if (!canvas.destroyed()) moved(placesOf(canvas)); });
  };
  canvas.on("pan zoom resize", follow);
  let moves = 0;
  // Bends are computed from positions, and the library computes them again when data changes.
  canvas.on("position", "node", (event) => { event.target.connectedEdges().data("moves", ++moves); place(); });
  canvas.on("tap", (event) => {
    if (event.target === canvas) selection.value = null;
    else if (event.target.isEdge()) selection.value = { kind: "edge", id: event.target.id() };
    else if (event.target.data("app")) selection.value = { kind: "node", id: event.target.id() };
  });
  // Whoever has moved the picture keeps it where it is.
  canvas.on("scrollzoom pinchzoom dragpan", () => { touched = true; });

  const stopGraph = effect(() => {
    const next = graph.value;
    if (!next) return;
    const isNew = needsLayout(drawn, next);
    show(canvas, next);
    if (isNew) arrange(canvas, next, drawn !== null);
    drawn = next;
    place();
    ready.value = true;
  });
  const stopSelection = effect(() => {
    const chosen = selection.value;
    if (!ready.value) return;
    canvas.elements().removeClass("away");
    if (!chosen || !drawn) return;
    const nearby = neighbours(drawn, chosen.id);
    canvas.edges().filter((edge) => !nearby.has(edge.id())).addClass("away");
  });
  const size = new ResizeObserver(() => {
    canvas.resize();
    if (!touched) fit(canvas);
  });
  size.observe(box);
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const recolour = () => { canvas.style(styles(box)); };
  scheme.addEventListener("change", recolour);
  follow();

  const close = () => {
    stopGraph();
    stopSelection();
    size.disconnect();
    scheme.removeEventListener("change", recolour);
    cancelAnimationFrame(asked);
    canvas.destroy();
  };
  return { canvas, close };
}

function placesOf(canvas: Core): Places {
  const ways = new Map<string, Way>();
  for (const edge of canvas.edges().toArray()) {
    const way = wayOf(edge);
    if (way) ways.set(edge.id(), way);
  }
  const edges = new Map([...spread(ways)].map(([id, middle]) => [id, { path: path(ways.get(id) as Way), middle }]));
  const nodes = new Map(canvas.nodes("[?app]").toArray().map((node) => [node.id(), { ...node.position() }]));
  return { nodes, edges };
}

/** What stays bright when something is selected: itself, and what it touches. */
function neighbours(picture: Graph, id: string): Set<string> {
  const near = new Set([id]);
  for (const edge of picture.edges) {
    if (edge.id === id) near.add(edge.source).add(edge.target);
    else if (edge.source === id || edge.target === id) near.add(edge.id).add(edge.source).add(edge.target);
  }
  return near;
}

function speed(rate: number): "slow" | "medium" | "fast" {
  if (rate < 1) return "slow";
  return rate < 20 ? "medium" : "fast";
}

function Tool({ icon, name, onClick }: { icon: IconName; name: string; onClick: () => void }) {
  return (
    <button type="button" class="button button-icon" title={name} aria-label={name} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}

function Legend() {
  return (
    <ul class="legend plain" aria-label="Legend">
      <li><span class="legend-line legend-ok" />answered</li>
      <li><span class="legend-line legend-warning" />some fail</li>
      <li><span class="legend-line legend-denied" />denied</li>
      <li><Icon name="lock" />mutual TLS</li>
      {isStill() ? null : <li class="muted">thicker: more traffic</li>}
    </ul>
  );
}
