import { duration, percent, rateUnit, short } from "../format";
import type { AppEdge } from "../graph/elements";
import { Icon } from "../parts/Icon";
import { graph, selection, view } from "../state";

// Not finer than this: rows that change places each second cannot be read.
const ORDER = { denied: 0, "partly-denied": 0, failing: 1, degraded: 2, ok: 2, idle: 2 } as const;
const MOST = 200;

/** Every edge as a row, worst first: the graph for those who cannot see it, and for long lists. */
export function Traffic() {
  const edges = [...(graph.value?.edges ?? [])].sort((a, b) => ORDER[a.state] - ORDER[b.state]);
  return (
    <section>
      <h2 class="side-title">Traffic</h2>
      <p class="muted side-note">{`Averages of the last ${view.value?.window_s ?? 10} seconds.`}</p>
      {edges.length === 0 ? (
        <div class="empty empty-small">No traffic yet. As soon as a workload calls another one, it is here.</div>
      ) : (
        <table class="traffic" data-testid="traffic">
          <caption class="hidden">Traffic between apps</caption>
          <thead class="hidden">
            <tr>
              <th scope="col">From and to</th>
              <th scope="col">Rate</th>
              <th scope="col">Result</th>
            </tr>
          </thead>
          <tbody>{edges.slice(0, MOST).map((item) => <Row key={item.id} item={item} />)}</tbody>
        </table>
      )}
      <About />
    </section>
  );
}

function About() {
  const mesh = view.value;
  if (!mesh) return null;
  const facts: [string, string][] = [
    ["Platform", mesh.platform],
    ["Directory", mesh.directory],
    ["Trust domain", mesh.trust_domain],
    ["Running for", duration((Date.parse(mesh.now) - Date.parse(mesh.started)) / 1000)],
  ];
  return (
    <>
      <h2 class="side-section">This mesh</h2>
      <dl class="about">
        {facts.filter(([, value]) => value).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function Row({ item }: { item: AppEdge }) {
  const { edge } = item;
  const isDenied = edge.denied_per_second > 0 || item.state === "denied";
  return (
    <tr class={`traffic-row state-${item.state}`} data-edge={item.id} data-state={item.state}>
      <th scope="row">
        <button type="button" class="traffic-name" onClick={() => { selection.value = { kind: "edge", id: item.id }; }}>
          {isDenied ? <Icon name="denied" label="denied" /> : <Icon name={edge.mutual_tls ? "lock" : "unlocked"} label={edge.mutual_tls ? "mutual TLS" : "plaintext"} />}
          <span class="traffic-ends">
            <span>{edge.source}</span>
            <span>
              <span class="arrow" aria-hidden="true">→ </span>
              <span class="hidden">to </span>
              {edge.destination}
            </span>
          </span>
        </button>
        <div class="traffic-sub">
          {edge.protocol}
          {edge.split_percent !== null ? <span class="chip">{`${short(edge.split_percent)}% split`}</span> : null}
        </div>
      </th>
      <td>
        {short(isDenied && edge.requests_per_second === 0 ? edge.denied_per_second : edge.requests_per_second)}
        <span class="unit">{` ${rateUnit(edge.protocol)}`}</span>
      </td>
      <td>
        <Result item={item} />
      </td>
    </tr>
  );
}

function Result({ item }: { item: AppEdge }) {
  const { edge, state } = item;
  if (state === "denied") return <strong class="tone-error">denied</strong>;
  if (state === "idle") return <span class="muted">idle</span>;
  if (edge.success_percent === null) return <span class="muted">open</span>;
  const tone = state === "failing" ? "error" : state === "degraded" ? "warning" : "ok";
  return (
    <>
      <span class={`tone-${tone}`}>{percent(edge.success_percent)}</span>
      {edge.denied_per_second > 0 ? <div class="tone-error">{`${short(edge.denied_per_second)}/s denied`}</div> : null}
    </>
  );
}
