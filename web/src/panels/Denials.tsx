import { ago } from "../format";
import type { DenialView } from "../model";
import { type Column, Table } from "../parts/Table";
import { accountOf, questionOfDenial, refusalOf } from "../question";
import { ask, view } from "../state";

const COLUMNS: readonly Column<DenialView>[] = [
  { title: "Last", cell: (row) => <time dateTime={row.time} title={row.time}>{ago(row.time, view.value?.now ?? row.time)}</time> },
  {
    title: "Who → whom",
    cell: (row) => (
      <span title={row.source}>
        <strong>{sourceOf(row)}</strong>
        <span class="hidden"> to</span>
        <div>
          <span class="arrow" aria-hidden="true">→ </span>
          <strong>{row.destination}</strong>
          <span class="muted">{`:${row.port}`}</span>
        </div>
      </span>
    ),
  },
  { title: "Request", cell: (row) => <span class="mono wrap">{row.method ? `${row.method} ${row.path}` : "TCP connection"}</span> },
  { title: "Why", cell: (row) => <span class="tone-error">{row.reason}</span>, className: "wide" },
  { title: "Times", cell: (row) => row.count.toLocaleString(), className: "number" },
  {
    title: "Open",
    className: "actions",
    cell: (row) => (
      <button type="button" class="button button-small" onClick={() => { if (view.value) ask(questionOfDenial(view.value, row), refusalOf(row)); }}>
        Explain<span class="hidden">{` ${sourceOf(row)} to ${row.destination}`}</span>
      </button>
    ),
  },
];

function sourceOf(row: DenialView): string {
  return accountOf(row.source, view.value?.trust_domain ?? "");
}

/** What was refused, newest first. */
export function Denials() {
  return (
    <section>
      <h1 class="panel-title">Denials</h1>
      <Table
        caption="Denials"
        rows={view.value?.denials ?? []}
        columns={COLUMNS}
        rowKey={(row) => `${row.source} ${row.destination} ${row.port} ${row.method} ${row.path} ${row.reason}`}
        text={(row) => `${row.source} ${row.destination} ${row.method} ${row.path} ${row.reason}`}
        empty="Nothing was denied. Everything that asked was allowed to."
      />
    </section>
  );
}
