import { latency, percent, rateUnit, short } from "../format";
import type { AppEdge } from "../graph/elements";
import { Chart } from "../parts/Chart";
import { Code } from "../parts/Code";
import { Icon } from "../parts/Icon";
import { denialOfEdge, questionOfEdge, refusalOf } from "../question";
import { ask, history, view } from "../state";
import { SideHead } from "./SideHead";

/** One edge: its figures, its last minutes, and when it is denied, why and what would allow it. */
export function EdgeDetails({ item }: { item: AppEdge }) {
  const { edge } = item;
  const unit = rateUnit(edge.protocol);
  const isDenied = edge.denied_per_second > 0 || item.state === "denied";
  const explainIt = () => {
    if (!view.value) return;
    const denial = denialOfEdge(view.value, edge);
    ask(questionOfEdge(view.value, edge), denial ? refusalOf(denial) : null);
  };
  return (
    <section data-testid="edge-details">
      <SideHead>
        <h2 class="side-title">
          <span>{edge.source}</span>
          <span class="arrow" aria-hidden="true"> → </span>
          <span class="hidden"> to </span>
          <span>{edge.destination}</span>
        </h2>
        <p class="muted">{`${edge.source_namespace} → ${edge.destination_namespace}`}</p>
      </SideHead>
      <div class="chips">
        <span class="chip">{edge.protocol}</span>
        {item.state === "denied" ? null : (
          <span class={`chip ${edge.mutual_tls ? "chip-ok" : "chip-warning"}`}>
            <Icon name={edge.mutual_tls ? "lock" : "unlocked"} />
            {edge.mutual_tls ? "mutual TLS" : "plaintext"}
          </span>
        )}
        {edge.split_percent !== null ? (
          <span class="chip chip-accent">
            <Icon name="split" />
            {`${short(edge.split_percent)}% of ${edge.split_service}`}
          </span>
        ) : null}
      </div>
      {isDenied ? (
        <div class="callout callout-error">
          <h3>
            <Icon name="denied" />
            {`Denied: ${short(edge.denied_per_second)} ${unit}, ${short(edge.denied_total)} in total`}
          </h3>
          <p>{edge.deny_reason || "The mesh gave no reason."}</p>
        </div>
      ) : null}
      <dl class="facts">
        <Fact name="Rate" value={`${short(edge.requests_per_second)} ${unit}`} />
        <Fact name="Success" value={percent(edge.success_percent)} />
        <Fact name="Latency p50" value={latency(edge.p50_ms)} />
        <Fact name="Latency p99" value={latency(edge.p99_ms)} />
        <Fact name="Total" value={short(edge.total)} />
        <Fact name="Denied" value={short(edge.denied_total)} />
      </dl>
      <Chart samples={history.value.get(item.id) ?? []} unit={unit} />
      <div class="row">
        <button type="button" class="button" onClick={explainIt}>Explain this</button>
      </div>
      {isDenied && edge.remedy ? (
        <>
          <h3 class="side-section">The rule that is missing</h3>
          <Code text={edge.remedy} label="Rule that would allow it, YAML" />
          <p class="muted">Save it in the mesh’s directory, or: osm apply -f -</p>
        </>
      ) : null}
    </section>
  );
}

export function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
