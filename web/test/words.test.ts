import { describe, expect, test } from "vitest";
import { ago, duration, latency, percent, safeLink, short, until } from "../src/format";
import { ALL, KEEP_S, remember } from "../src/history";
import { accountOf, denialOfEdge, headersOf, questionOfDenial, questionOfEdge, refusalOf } from "../src/question";
import { totals } from "../src/totals";
import { toYaml } from "../src/yaml";
import { edge, mesh, workload } from "./view";

test.each([
  [0, "0"], [0.004, "<0.01"], [0.42, "0.42"], [7.5, "7.5"], [10, "10"], [99.96, "100"], [128.4, "128"], [12_400, "12.4k"], [2_000_000, "2M"],
])("the number %d reads %s", (value, text) => expect(short(value)).toBe(text));

test.each([
  [null, "–"], [100, "100%"], [99.99, ">99.9%"], [97.5, "97.5%"], [0, "0%"],
])("the percentage %d reads %s", (value, text) => expect(percent(value)).toBe(text));

test.each([[null, "–"], [8.44, "8.4 ms"], [1234, "1.23 s"]])("the latency %d reads %s", (value, text) => expect(latency(value)).toBe(text));

test.each([[0, "0 s"], [45, "45 s"], [200, "3 min 20 s"], [3600, "1 h"], [83_520, "23 h 12 min"], [90_061, "1 d 1 h"]])(
  "%d seconds read %s",
  (value, text) => expect(duration(value)).toBe(text),
);

test("moments are told from the mesh's clock", () => {
  expect(ago("2026-01-01T00:00:00Z", "2026-01-01T00:00:41Z")).toBe("41 s ago");
  expect(ago("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.300Z")).toBe("just now");
  expect(until("2026-01-01T01:00:00Z", "2026-01-01T00:00:00Z")).toBe("in 1 h");
  expect(until("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z")).toBe("expired");
});

test.each([
  ["http://127.0.0.1:8080/", "http://127.0.0.1:8080/"],
  ["javascript:alert(1)", ""],
  [" JaVaScRiPt:alert(1)", ""],
  ["data:text/html,<script>alert(1)</script>", ""],
  ["//elsewhere.example/", ""],
  ["", ""],
])("a link to %o leads to %o", (address, safe) => expect(safeLink(address)).toBe(safe));

describe("toYaml", () => {
  test.each<[string, unknown, string]>([
    ["an object as people write it", { kind: "Service", spec: { ports: [{ port: 80, name: "web" }] } }, "kind: Service\nspec:\n  ports:\n  - port: 80\n    name: web\n"],
    ["what would read as something else in quotes", { a: "true", b: "1.5", c: "", d: "x: y", e: "- z" }, 'a: "true"\nb: "1.5"\nc: ""\nd: "x: y"\ne: "- z"\n'],
    ["text of several lines as a block", { text: "one\ntwo\n", cut: "one\ntwo" }, "text: |\n  one\n  two\ncut: |-\n  one\n  two\n"],
    ["what is empty", { a: [], b: {}, c: null }, "a: []\nb: {}\nc: null\n"],
    ["lists in lists", { a: [[1, 2], [3]] }, "a:\n- - 1\n  - 2\n- - 3\n"],
    ["control characters in quotes", { a: "\u001b[31m\nx" }, 'a: "\\u001b[31m\\nx"\n'],
  ])("writes %s", (_, value, text) => expect(toYaml(value)).toBe(text));
});

test("totals count requests but not TCP, and judge only what was answered", () => {
  const view = mesh({
    edges: [
      edge("a", "b", { requests_per_second: 3, success_percent: 100 }),
      edge("a", "c", { requests_per_second: 1, success_percent: 60, mutual_tls: false }),
      edge("b", "d", { protocol: "tcp", requests_per_second: 4, success_percent: null }),
      edge("t", "b", { requests_per_second: 0, success_percent: null, denied_per_second: 2 }),
    ],
  });
  expect(totals(view)).toMatchObject({ requests: 4, success: 90, denied: 2, mutualTls: 87.5 });
  expect(totals(mesh())).toMatchObject({ success: null, mutualTls: null });
});

test("the history keeps the last minutes, and ignores a view that it has seen", () => {
  let history = remember(new Map(), mesh({ edges: [edge("a", "b")] }));
  history = remember(history, mesh({ edges: [edge("a", "b")] }));
  expect(history.get("a/a → b/b http")).toHaveLength(1);
  const later = new Date(Date.parse("2026-01-01T00:01:00Z") + (KEEP_S + 1) * 1000).toISOString();
  history = remember(history, mesh({ now: later, edges: [edge("a", "b", { requests_per_second: 7, denied_per_second: 1 })] }));
  expect(history.get(ALL)).toEqual([{ at: Date.parse(later) / 1000, rate: 7, denied: 1 }]);
});

describe("questions", () => {
  const view = mesh({
    workloads: [workload("buy", "bookbuyer"), workload("store", "store-1", { app: "store", services: ["store/bookstore"] })],
    denials: [],
  });
  const denial = {
    time: "", source: "buy/bookbuyer", destination: "store/store-1", port: 14001, method: "GET", path: "/buy", reason: "", count: 1,
  };

  test("a denial is asked about as the program wrote it", () => {
    expect(questionOfDenial(view, denial)).toEqual({ source: "buy/bookbuyer", destination: "bookstore.store:14001", method: "GET", path: "/buy", headers: [] });
  });

  test("an edge that is denied is asked about by its newest denial", () => {
    const denied = edge("buy", "store", { source: "bookbuyer" });
    expect(questionOfEdge({ ...view, denials: [denial] }, denied)).toEqual(questionOfDenial(view, denial));
  });

  test("a denial goes back as it came", () => {
    expect(denialOfEdge({ ...view, denials: [denial] }, edge("buy", "store", { source: "bookbuyer" }))).toBe(denial);
    expect(refusalOf(denial)).toEqual({ source: "buy/bookbuyer", destination: "store/store-1", port: 14001, method: "GET", path: "/buy", reason: "", time: "", headers: [] });
  });

  test.each<[string, [string, string][], string]>([
    ["", [], ""],
    ["Client-App: bookbuyer\n\n x-empty:\n:authority: a.b:80", [["client-app", "bookbuyer"], ["x-empty", ""], [":authority", "a.b:80"]], ""],
    ["x: y\nno header", [["x", "y"]], "no header"],
    [": x", [], ": x"],
  ])("the headers %o are read", (text, headers, wrong) => expect(headersOf(text)).toEqual({ headers, wrong }));

  test("an edge of TCP is asked about as a connection", () => {
    expect(questionOfEdge(view, edge("buy", "store", { source: "bookbuyer", protocol: "tcp" })).method).toBe("");
  });

  test("an identity of another trust domain stays whole", () => {
    expect(accountOf("spiffe://cluster.local/ns/a/sa/b", "cluster.local")).toBe("a/b");
    expect(accountOf("spiffe://other.example/ns/a/sa/b", "cluster.local")).toBe("spiffe://other.example/ns/a/sa/b");
  });
});
