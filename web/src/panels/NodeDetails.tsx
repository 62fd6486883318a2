import { percent, rateUnit, safeLink, short } from "../format";
import type { AppEdge, AppNode } from "../graph/elements";
import type { WorkloadView } from "../model";
import { Icon } from "../parts/Icon";
import { phaseTone, Status } from "../parts/Status";
import { graph, openLogs, selection, view } from "../state";
import { SideHead } from "./SideHead";

const MOST_WORKLOADS = 20;

/** One app: its workloads, who calls it and whom it calls, and its own counters. */
export function NodeDetails({ node }: { node: AppNode }) {
  const edges = graph.value?.edges ?? [];
  return (
    <section data-testid="node-details">
      <SideHead>
        <h2 class="side-title">{node.app}</h2>
        <p class="muted">{`namespace ${node.namespace || "none"} · ${node.statusText}`}</p>
      </SideHead>
      {node.workloads.slice(0, MOST_WORKLOADS).map((workload) => <Workload key={workload.name} workload={workload} />)}
      {node.workloads.length > MOST_WORKLOADS ? <p class="muted">{`… and ${node.workloads.length - MOST_WORKLOADS} more`}</p> : null}
      <Edges title="Called by" edges={edges.filter((edge) => edge.target === node.id)} other={(edge) => edge.source} />
      <Edges title="Calls" edges={edges.filter((edge) => edge.source === node.id)} other={(edge) => edge.target} />
    </section>
  );
}

function Workload({ workload }: { workload: WorkloadView }) {
  const name = `${workload.namespace}/${workload.name}`;
  const counters = view.value?.counters.find(([who]) => who === name || who === workload.name)?.[1] ?? [];
  const page = safeLink(workload.web);
  return (
    <div class="card">
      <div class="row row-spread">
        <strong class="mono">{workload.name}</strong>
        <Status tone={phaseTone(workload.phase)} text={workload.phase} />
      </div>
      {workload.reason ? <p class="tone-warning">{workload.reason}</p> : null}
      <p class="muted mono wrap">{workload.identity}</p>
      {workload.services.length > 0 ? (
        <p class="muted">
          Services:{" "}
          {workload.services.map((service) => <span key={service} class="chip mono">{service}</span>)}
        </p>
      ) : null}
      {counters.length > 0 ? (
        <dl class="facts">
          {counters.map(([counter, value]) => (
            <div key={counter} class="fact">
              <dt>{counter}</dt>
              <dd>{value.toLocaleString()}</dd>
            </div>
          ))}
        </dl>
      ) : null}
      <div class="row">
        {page ? (
          <a class="button button-small" href={page} target="_blank" rel="noreferrer noopener">
            <Icon name="link" />
            Its page
          </a>
        ) : null}
        <button type="button" class="button button-small" onClick={() => { openLogs.value = workload; }}>
          <Icon name="logs" />
          Logs<span class="hidden">{` of ${workload.name}`}</span>
        </button>
        {workload.restarts > 0 ? <span class="muted">{`${workload.restarts} restarts`}</span> : null}
      </div>
    </div>
  );
}

interface EdgesProps {
  title: string;
  edges: AppEdge[];
  other: (edge: AppEdge) => string;
}

function Edges({ title, edges, other }: EdgesProps) {
  if (edges.length === 0) return null;
  return (
    <>
      <h3 class="side-section">{title}</h3>
      <ul class="plain">
        {edges.map((edge) => (
          <li key={edge.id}>
            <button type="button" class={`edge-link state-${edge.state}`} onClick={() => { selection.value = { kind: "edge", id: edge.id }; }}>
              <span>{other(edge)}</span>
              <span class="edge-link-end">
                {edge.state === "denied"
                  ? "denied"
                  : `${short(edge.edge.requests_per_second)} ${rateUnit(edge.edge.protocol)} · ${percent(edge.edge.success_percent)}`}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}
