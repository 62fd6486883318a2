import { safeLink } from "../format";
import { appId } from "../graph/elements";
import type { WorkloadView } from "../model";
import { Icon } from "../parts/Icon";
import { phaseTone, Status } from "../parts/Status";
import { type Column, Table } from "../parts/Table";
import { openLogs, selection, view } from "../state";

const COLUMNS: readonly Column<WorkloadView>[] = [
  { title: "Namespace", cell: (row) => row.namespace },
  {
    title: "Workload",
    cell: (row) => (
      <a
        class="strong"
        href="#/graph"
        onClick={() => { selection.value = { kind: "node", id: appId(row.namespace, row.app || row.name) }; }}
      >
        {row.name}
      </a>
    ),
  },
  {
    title: "State",
    cell: (row) => (
      <>
        <Status tone={phaseTone(row.phase)} text={row.phase} />
        {row.reason ? <div class="muted">{row.reason}</div> : null}
      </>
    ),
  },
  { title: "Restarts", cell: (row) => row.restarts, className: "number" },
  { title: "Proxy", cell: (row) => <ProxyState workload={row} /> },
  { title: "Services", cell: (row) => row.services.map((service) => <span key={service} class="chip mono">{service}</span>) },
  { title: "Identity", cell: (row) => <span class="mono muted wrap">{row.identity}</span>, className: "wide" },
  {
    title: "Open",
    className: "actions",
    cell: (row) => {
      const page = safeLink(row.web);
      return (
        <>
          <button type="button" class="button button-small" onClick={() => { openLogs.value = row; }}>
            <Icon name="logs" />
            Logs<span class="hidden">{` of ${row.name}`}</span>
          </button>
          {page ? (
            <a class="button button-small" href={page} target="_blank" rel="noreferrer noopener">
              <Icon name="link" />
              Page<span class="hidden">{` of ${row.name}`}</span>
            </a>
          ) : null}
        </>
      );
    },
  },
];

export function Workloads() {
  return (
    <section>
      <h1 class="panel-title">Workloads</h1>
      <Table
        caption="Workloads"
        rows={view.value?.workloads ?? []}
        columns={COLUMNS}
        rowKey={(row) => appId(row.namespace, row.name)}
        text={(row) => `${row.namespace} ${row.name} ${row.app} ${row.identity} ${row.phase} ${row.services.join(" ")}`}
        empty="No workloads yet. Put manifests into the mesh’s directory, or: osm apply -f apps/"
      />
    </section>
  );
}

function ProxyState({ workload }: { workload: WorkloadView }) {
  const proxy = view.value?.proxies.find((item) => item.namespace === workload.namespace && item.name === workload.name);
  if (!proxy) return <span class="muted">none</span>;
  if (!proxy.connected) return <Status tone="error" text="disconnected" />;
  return proxy.in_sync ? <Status tone="ok" text="in sync" /> : <Status tone="warning" text="not in sync" />;
}
