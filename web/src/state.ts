/** What the page knows. Everything that is drawn reads it from here. */

import { computed, signal } from "@preact/signals";
import { graphOf } from "./graph/elements";
import type { History } from "./history";
import type { MeshView, Question, Refusal } from "./model";
import { totals } from "./totals";

export type Connection = "connecting" | "live" | "lost";

export const TABS = ["graph", "workloads", "proxies", "objects", "denials", "explain"] as const;
export type Tab = (typeof TABS)[number];

export type Selection = { kind: "edge" | "node"; id: string } | null;

export interface ObjectRef {
  kind: string;
  namespace: string;
  name: string;
  group: string;
}

export const view = signal<MeshView | null>(null);
export const connection = signal<Connection>("connecting");
export const history = signal<History>(new Map());
export const tab = signal<Tab>(tabOf(location.hash));
export const selection = signal<Selection>(null);
export const question = signal<Question>({ source: "", destination: "", method: "GET", path: "/", headers: [] });
/** The headers of the question, as they are typed: one on each line. */
export const headerText = signal("");
/** What the form is about while nobody has changed it: a refusal, not a question of one's own. */
export const refusal = signal<Refusal | null>(null);
/** Counts up when something asks for an answer, so that the form sends itself. */
export const asked = signal(0);
export const openObject = signal<ObjectRef | null>(null);
export const openLogs = signal<{ namespace: string; name: string } | null>(null);

export const graph = computed(() => (view.value ? graphOf(view.value) : null));
export const figures = computed(() => (view.value ? totals(view.value) : null));

export function tabOf(hash: string): Tab {
  const name = hash.replace(/^#\/?/, "");
  return TABS.find((candidate) => candidate === name) ?? "graph";
}

/** Open the form with a question, and ask it; with a refusal, why that was and whether it still is. */
export function ask(what: Question, refused: Refusal | null = null): void {
  question.value = what;
  headerText.value = "";
  refusal.value = refused;
  asked.value += 1;
  location.hash = "#/explain";
}

window.addEventListener("hashchange", () => {
  tab.value = tabOf(location.hash);
});
