/** From what is seen to a question that `explain` answers. */

import type { DenialView, EdgeView, MeshView, Question, Refusal } from "./model";

const DEFAULT_PORT = 80;
const HEADER = /^(:authority|[!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)$/;

/** Ask about a refused request. */
export function questionOfDenial(view: MeshView, denial: DenialView): Question {
  const [namespace = "", account = ""] = accountOf(denial.source, view.trust_domain).split("/");
  const caller = view.workloads.find(
    (workload) => workload.namespace === namespace && workload.service_account === account,
  );
  return {
    source: caller ? `${caller.namespace}/${caller.app || caller.name}` : denial.source,
    destination: hostOf(view, denial.destination, denial.port),
    method: denial.method,
    path: denial.path || "/",
    headers: [],
  };
}

/** Ask about an edge: its newest refused request if there is one, else a plain GET. */
export function questionOfEdge(view: MeshView, edge: EdgeView): Question {
  const destination = `${edge.destination_namespace}/${edge.destination}`;
  const denial = denialOfEdge(view, edge);
  if (denial) return questionOfDenial(view, denial);
  const isTcp = edge.protocol === "tcp" || edge.protocol === "tcp-server-first" || edge.protocol === "tls";
  return {
    source: `${edge.source_namespace}/${edge.source}`,
    destination: edge.split_service ? hostOfService(edge.split_service, null) : hostOf(view, destination, null),
    method: isTcp ? "" : "GET",
    path: "/",
    headers: [],
  };
}

/** What was refused last along an edge. */
export function denialOfEdge(view: MeshView, edge: EdgeView): DenialView | undefined {
  const destination = `${edge.destination_namespace}/${edge.destination}`;
  const targets = view.workloads.filter((workload) => `${workload.namespace}/${workload.app}` === destination);
  return view.denials.find(
    (item) => targets.some((target) => item.destination === `${target.namespace}/${target.name}`) && isFrom(view, item, edge),
  );
}

/** A denial as the mesh takes it back, to say why. */
export function refusalOf({ source, destination, port, method, path, reason, time }: DenialView): Refusal {
  return { source, destination, port, method, path, reason, time, headers: [] };
}

/** Headers as they are typed, one on each line, and the first line that is none. */
export function headersOf(text: string): { headers: [string, string][]; wrong: string } {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  const wrong = lines.find((line) => !HEADER.test(line)) ?? "";
  const headers = lines.filter((line) => HEADER.test(line)).map((line): [string, string] => {
    const [, name = "", value = ""] = HEADER.exec(line) ?? [];
    return [name.toLowerCase(), value];
  });
  return { headers, wrong };
}

function isFrom(view: MeshView, denial: DenialView, edge: EdgeView): boolean {
  const account = accountOf(denial.source, view.trust_domain);
  return view.workloads.some(
    (workload) =>
      `${workload.namespace}/${workload.app}` === `${edge.source_namespace}/${edge.source}` &&
      `${workload.namespace}/${workload.service_account}` === account,
  );
}

/** `<namespace>/<service account>` of a SPIFFE ID of this trust domain; anything else as it is. */
export function accountOf(source: string, trustDomain: string): string {
  const match = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(source);
  return match && match[1] === trustDomain ? `${match[2]}/${match[3]}` : source;
}

function hostOf(view: MeshView, destination: string, port: number | null): string {
  const workload = view.workloads.find(
    (item) => `${item.namespace}/${item.name}` === destination || `${item.namespace}/${item.app}` === destination,
  );
  return hostOfService(workload?.services[0] ?? destination, port);
}

function hostOfService(service: string, port: number | null): string {
  const [namespace = "", name = ""] = service.split("/");
  const host = name ? `${name}.${namespace}` : namespace;
  return port === null || port === DEFAULT_PORT ? host : `${host}:${port}`;
}
