import { describe, expect, test } from "vitest";
import { edgeState, edgeWidth, graphOf, needsLayout } from "../src/graph/elements";
import { placeTowards, place, NODE_HEIGHT, NODE_WIDTH } from "../src/graph/layout";
import { path, pointAt, spread } from "../src/graph/way";
import { edge, mesh, workload } from "./view";

describe("graphOf", () => {
  test("groups the workloads of an app into one node and counts the ready ones", () => {
    const view = mesh({ workloads: [workload("a", "web-1", { app: "web" }), workload("a", "web-2", { app: "web", phase: "unready" })] });
    const [node, ...others] = graphOf(view).nodes;
    expect(others).toEqual([]);
    expect(node).toMatchObject({ id: "a/web", ready: 1, status: "warning", statusText: "1/2 ready, unready" });
  });

  test("keeps apps of the same name in two namespaces apart", () => {
    const view = mesh({ workloads: [workload("a", "web"), workload("b", "web")] });
    expect(graphOf(view).nodes.map((node) => node.id)).toEqual(["a/web", "b/web"]);
  });

  test("shows the version of an app beside its name", () => {
    const [node] = graphOf(mesh({ workloads: [workload("a", "bookstore-v2")] })).nodes;
    expect(node).toMatchObject({ title: "bookstore", version: "v2" });
  });

  test("draws a caller that is no workload of the mesh, and says so", () => {
    const { nodes } = graphOf(mesh({ workloads: [workload("b", "b")], edges: [edge("a", "b")] }));
    expect(nodes.find((node) => node.id === "a/a")?.statusText).toBe("outside of the mesh");
  });

  test("does not depend on the order in which the mesh lists things", () => {
    const one = mesh({ workloads: [workload("a", "a"), workload("b", "b")], edges: [edge("a", "b"), edge("b", "a")] });
    const other = mesh({ workloads: [...one.workloads].reverse(), edges: [...one.edges].reverse() });
    expect(graphOf(other)).toEqual(graphOf(one));
  });

  test("draws the busiest apps of a mesh that is too large, and no edge to one that is not drawn", () => {
    const workloads = ["a", "b", "c", "d"].map((name) => workload(name, name));
    const edges = [edge("c", "d", { requests_per_second: 9 }), edge("a", "d", { requests_per_second: 1 })];
    const picture = graphOf(mesh({ workloads, edges }), 2);
    expect(picture.nodes.map((node) => node.id)).toEqual(["c/c", "d/d"]);
    expect(picture.edges.map((item) => item.source)).toEqual(["c/c"]);
    expect(picture.hidden).toBe(2);
  });
});

test.each([
  [{ requests_per_second: 0, denied_per_second: 2 }, "denied"],
  [{ requests_per_second: 3, denied_per_second: 2 }, "partly-denied"],
  [{ requests_per_second: 3, success_percent: 94 }, "failing"],
  [{ requests_per_second: 3, success_percent: 98 }, "degraded"],
  [{ requests_per_second: 3, success_percent: 100 }, "ok"],
  [{ requests_per_second: 3, success_percent: null }, "ok"],
  [{ requests_per_second: 0 }, "idle"],
  [{ requests_per_second: 0, total: 0, denied_total: 4 }, "denied"],
])("an edge with %o is %s", (figures, state) => {
  expect(edgeState(edge("a", "b", figures))).toBe(state);
});

test("a line gets thicker with its rate, but never thicker than nine", () => {
  const widths = [0, 1, 10, 100, 1e9].map(edgeWidth);
  expect([...widths].sort((a, b) => a - b)).toEqual(widths);
  expect(widths.at(-1)).toBe(9);
});

describe("layout", () => {
  const view = mesh({
    workloads: ["a", "b", "c", "d"].map((name) => workload(name, name)),
    edges: [edge("a", "b"), edge("a", "c"), edge("b", "d"), edge("c", "d"), edge("d", "d")],
  });
  const graph = graphOf(view);

  test("changes when something appears or goes, and not when figures change", () => {
    const busier = graphOf({ ...view, edges: view.edges.map((item) => ({ ...item, requests_per_second: 99, denied_per_second: 1 })) });
    expect(needsLayout(null, graph)).toBe(true);
    expect(needsLayout(graph, busier)).toBe(false);
    expect(needsLayout(graph, graphOf({ ...view, edges: view.edges.slice(1) }))).toBe(false);
    expect(needsLayout(graph, graphOf({ ...view, edges: [...view.edges, edge("b", "c")] }))).toBe(true);
    expect(needsLayout(graph, graphOf({ ...view, workloads: view.workloads.slice(1), edges: [] }))).toBe(true);
  });

  test.each(["right", "down"] as const)("puts callers before callees, and nothing on top of another (%s)", (direction) => {
    const places = placeTowards(graph, direction);
    const at = (id: string) => places.get(id) ?? { x: NaN, y: NaN };
    const along = (id: string) => (direction === "right" ? at(id).x : at(id).y);
    expect(along("a/a")).toBeLessThan(along("b/b"));
    expect(along("c/c")).toBeLessThan(along("d/d"));
    const points = [...places.values()];
    points.forEach((one, index) => {
      for (const other of points.slice(index + 1)) {
        expect(Math.abs(one.x - other.x) >= NODE_WIDTH || Math.abs(one.y - other.y) >= NODE_HEIGHT).toBe(true);
      }
    });
  });

  test("goes down when the picture is narrow, and to the right when it is wide", () => {
    expect(place(graph, { width: 500, height: 900 }).direction).toBe("down");
    expect(place(graph, { width: 1600, height: 500 }).direction).toBe("right");
  });

  test("an empty graph is laid out as well", () => {
    expect(place(graphOf(mesh()), { width: 800, height: 600 }).places.size).toBe(0);
  });
});

describe("way", () => {
  const curve = { from: { x: 0, y: 0 }, to: { x: 100, y: 40 }, bends: [{ x: 30, y: 0 }, { x: 70, y: 40 }] };

  test("begins and ends at its ends, and has its middle in the middle", () => {
    expect(pointAt(curve, 0)).toEqual({ x: 0, y: 0 });
    expect(pointAt(curve, 0.5)).toEqual({ x: 50, y: 20 });
    expect(pointAt(curve, 1).x).toBeCloseTo(100, 3);
    expect(path(curve)).toBe("M0.0,0.0 Q30.0,0.0 50.0,20.0 Q70.0,40.0 100.0,40.0");
  });

  test("figures of edges that cross do not lie on top of each other", () => {
    const long = (y: number) => ({ from: { x: 0, y }, to: { x: 900, y: -y }, bends: [] });
    const spots = [...spread(new Map([["a", long(150)], ["b", long(-150)]])).values()];
    expect(spots[0]).toEqual({ x: 450, y: 0 });
    expect(Math.abs((spots[1]?.y ?? 0) - 0) >= 42 || Math.abs((spots[1]?.x ?? 0) - 450) >= 104).toBe(true);
  });
});
