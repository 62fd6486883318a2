import { originText } from "../format";
import type { Finding, ObjectView } from "../model";
import { Icon } from "../parts/Icon";
import { Status, toneOf } from "../parts/Status";
import { type Column, Table } from "../parts/Table";
import { openObject, view } from "../state";

const WEIGHT: Record<string, number> = { error: 0, warning: 1 };

const COLUMNS: readonly Column<ObjectView>[] = [
  { title: "Kind", cell: (row) => <span title={row.group ? `${row.group}/${row.version}` : row.version}>{row.kind}</span> },
  { title: "Namespace", cell: (row) => row.namespace || "–" },
  {
    title: "Name",
    cell: (row) => (
      <button type="button" class="link strong" onClick={() => { openObject.value = row; }}>{row.name}</button>
    ),
  },
  { title: "Status", cell: (row) => <Status tone={toneOf(row.status)} text={row.status} /> },
  {
    title: "What it does",
    className: "wide",
    cell: (row) => (
      <>
        {row.summary}
        {row.findings.map((finding) => <div key={finding} class={`tone-${toneOf(row.status)}`}>{finding}</div>)}
      </>
    ),
  },
  { title: "Where", cell: (row) => <span class="mono muted">{row.where}</span> },
];

/** What is wrong, then every object. */
export function Objects() {
  const mesh = view.value;
  const objects = [...(mesh?.objects ?? [])].sort((a, b) => (WEIGHT[a.status] ?? 2) - (WEIGHT[b.status] ?? 2));
  return (
    <section>
      {mesh && mesh.findings.length > 0 ? <Findings findings={mesh.findings} /> : null}
      <h1 class="panel-title">Objects</h1>
      <Table
        caption="Objects"
        rows={objects}
        columns={COLUMNS}
        rowKey={(row) => `${row.group}/${row.kind}/${row.namespace}/${row.name}`}
        text={(row) => `${row.group} ${row.kind} ${row.namespace} ${row.name} ${row.summary} ${row.where} ${row.status}`}
        empty="No objects yet. Put manifests into the mesh’s directory, or: osm apply -f FILE"
      />
    </section>
  );
}

function Findings({ findings }: { findings: Finding[] }) {
  return (
    <section class="findings" aria-label="Findings">
      <h2 class="panel-title">{`Findings (${findings.length})`}</h2>
      <ul class="plain">
        {findings.slice(0, 100).map((finding, number) => (
          <li key={number} class={`callout callout-${toneOf(finding.severity)}`}>
            <h3>
              <Icon name={finding.severity === "error" ? "denied" : finding.severity === "warning" ? "warning" : "info"} />
              <span>{finding.message}</span>
            </h3>
            <p class="finding-place">
              {finding.where ? <span class="mono">{finding.where}</span> : null}
              {finding.origin ? <OriginButton origin={finding.origin} /> : null}
              <span class="chip mono">{finding.code}</span>
            </p>
            {finding.hint ? <p>{finding.hint}</p> : null}
          </li>
        ))}
      </ul>
    </section>
  );
}

function OriginButton({ origin }: { origin: NonNullable<Finding["origin"]> }) {
  return (
    <button type="button" class="link" onClick={() => { openObject.value = origin; }}>{originText(origin)}</button>
  );
}
