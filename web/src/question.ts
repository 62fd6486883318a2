/** From what is seen to a question that `explain` answers. */

import type { DenialView, EdgeView, MeshView, Question } from "./model";

const DEFAULT_PORT = 80;

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
  const targets = view.workloads.filter((workload) => `${workload.namespace}/${workload.app}` === destination);
  const denial = view.denials.find(
    (item) => targets.some((target) => item.destination === `${target.namespace}/${target.name}`) && isFrom(view, item, edge),
  );
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
