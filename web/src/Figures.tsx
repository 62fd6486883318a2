import type { ComponentChildren } from "preact";
import { percent, short } from "./format";
import { ALL } from "./history";
import { Sparkline } from "./parts/Sparkline";
import { figures, history, view } from "./state";

/** The mesh in six figures. */
export function Figures() {
  const mesh = view.value;
  const sums = figures.value;
  if (!mesh || !sums) return null;
  const samples = history.value.get(ALL) ?? [];
  const { push } = mesh;
  return (
    <section class="figures" aria-label="The mesh in figures">
      <Figure name="Requests" value={short(sums.requests)} unit="/s">
        <Sparkline samples={samples} of="rate" />
      </Figure>
      <Figure name="Success" value={percent(sums.success)} tone={successTone(sums.success)} note="of requests that were let in" />
      <Figure name="Denied" value={short(sums.denied)} unit="/s" tone={sums.denied > 0 ? "error" : ""}>
        <Sparkline samples={samples} of="denied" />
      </Figure>
      <Figure name="Mutual TLS" value={percent(sums.mutualTls)} tone={sums.mutualTls !== null && sums.mutualTls < 100 ? "warning" : ""} note="of the traffic" />
      <Figure
        name="Proxies in sync"
        value={`${sums.inSync}/${sums.proxies}`}
        tone={sums.inSync < sums.proxies ? "warning" : ""}
        note={sums.inSync < sums.proxies ? `${sums.proxies - sums.inSync} refused or behind` : "all acknowledged"}
      />
      <Figure
        name="Last change"
        value={push.trigger ? short(push.compile_ms + push.deliver_ms) : "–"}
        unit={push.trigger ? " ms" : ""}
        note={push.trigger ? `${push.trigger}: ${push.resources} resources, ${push.pushes} pushes` : "nothing has changed yet"}
      />
    </section>
  );
}

interface FigureProps {
  name: string;
  value: string;
  unit?: string;
  tone?: string;
  note?: string;
  children?: ComponentChildren;
}

function Figure({ name, value, unit, tone, note, children }: FigureProps) {
  return (
    <div class="figure">
      <div class="figure-name">{name}</div>
      <div class={`figure-value ${tone ? `tone-${tone}` : ""}`}>
        {value}
        {unit ? <span class="figure-unit">{unit}</span> : null}
      </div>
      {note ? <div class="figure-note" title={note}>{note}</div> : null}
      {children}
    </div>
  );
}

function successTone(value: number | null): string {
  if (value === null || value >= 99) return "";
  return value >= 95 ? "warning" : "error";
}
