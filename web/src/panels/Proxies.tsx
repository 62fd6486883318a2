import { duration, until } from "../format";
import type { ProxyView, ResourceTypeView } from "../model";
import { Icon } from "../parts/Icon";
import { Status } from "../parts/Status";
import { type Column, Table } from "../parts/Table";
import { view } from "../state";

const ADMIN = ["config_dump", "clusters", "listeners", "stats", "certs"];

const COLUMNS: readonly Column<ProxyView>[] = [
  { title: "Namespace", cell: (row) => row.namespace },
  { title: "Proxy", cell: (row) => <strong>{row.name}</strong> },
  { title: "State", cell: (row) => <State proxy={row} /> },
  { title: "Configuration", cell: (row) => <Types types={row.types} />, className: "wide" },
  { title: "Connected", cell: (row) => (row.connected ? duration(row.connected_s) : "–") },
  {
    title: "Certificate ends",
    cell: (row) => <span title={row.certificate_expires}>{row.certificate_expires ? until(row.certificate_expires, view.value?.now ?? "") : "–"}</span>,
  },
  { title: "Envoy", cell: (row) => <span class="mono">{row.version || "–"}</span> },
  {
    title: "Open",
    className: "actions",
    cell: (row) => (
      <details class="menu">
        <summary class="button button-small">Admin<span class="hidden">{` of ${row.name}`}</span></summary>
        <ul class="plain menu-list">
          {ADMIN.map((path) => (
            <li key={path}>
              <a href={adminLink(row, path)} target="_blank" rel="noreferrer noopener">
                {path}
                <Icon name="link" />
              </a>
            </li>
          ))}
        </ul>
      </details>
    ),
  },
];

/** Every proxy: what it holds, what it acknowledged, what it refused and why. */
export function Proxies() {
  const proxies = [...(view.value?.proxies ?? [])].sort((a, b) => Number(isFine(a)) - Number(isFine(b)));
  return (
    <section>
      <h1 class="panel-title">Proxies</h1>
      <Table
        caption="Proxies"
        rows={proxies}
        columns={COLUMNS}
        rowKey={(row) => `${row.namespace}/${row.name}`}
        text={(row) => `${row.namespace} ${row.name} ${row.identity} ${isFine(row) ? "in sync" : "not in sync"}`}
        empty="No proxy is connected yet."
      />
    </section>
  );
}

function isFine(proxy: ProxyView): boolean {
  return proxy.connected && proxy.in_sync;
}

function State({ proxy }: { proxy: ProxyView }) {
  if (!proxy.connected) return <Status tone="error" text="disconnected" />;
  if (proxy.in_sync) return <Status tone="ok" text="in sync" />;
  const isRefused = proxy.types.some(refuses);
  return <Status tone="warning" text={isRefused ? "refused a change" : "waiting"} />;
}

function refuses(type: ResourceTypeView): boolean {
  return type.refused > 0 && type.last_error !== "";
}

function Types({ types }: { types: ResourceTypeView[] }) {
  const errors = types.filter(refuses);
  return (
    <>
      <ul class="plain types">
        {types.map((type) => (
          <li
            key={type.type}
            class={`chip ${refuses(type) ? "chip-error" : type.pending > 0 ? "chip-warning" : ""}`}
            title={`sent ${type.sent}, acknowledged ${type.acknowledged}, refused ${type.refused}`}
          >
            {type.type}
            <b>{type.resources}</b>
            {refuses(type) ? <span>{`${type.refused} refused`}</span> : null}
            {type.pending > 0 ? <span>{`${type.pending} open`}</span> : null}
            <span class="hidden">{`, sent ${type.sent}, acknowledged ${type.acknowledged}`}</span>
          </li>
        ))}
      </ul>
      {errors.map((type) => (
        <p key={type.type} class="proxy-error">
          <strong>{`${type.type}: `}</strong>
          {type.last_error}
          {type.at_fault.length > 0 ? ` (from ${type.at_fault.join(", ")})` : ""}
          <span class="muted"> The last good configuration stays in force.</span>
        </p>
      ))}
    </>
  );
}

function adminLink(proxy: ProxyView, path: string): string {
  return `/api/v1/proxies/${encodeURIComponent(proxy.namespace)}/${encodeURIComponent(proxy.name)}/envoy/${path}`;
}
