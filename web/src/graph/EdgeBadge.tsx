import { percent, rateUnit, short } from "../format";
import { Icon } from "../parts/Icon";
import { selection } from "../state";
import type { AppEdge } from "./elements";
import type { Point } from "./layout";

/** The figures on an edge: locked or not, rate, success, split; or that it is denied. */
export function EdgeBadge({ item, place, away }: { item: AppEdge; place: Point; away: boolean }) {
  const { edge, state } = item;
  const chosen = selection.value?.kind === "edge" && selection.value.id === item.id;
  const isDenied = state === "denied";
  return (
    <button
      type="button"
      class={`badge badge-${state} ${chosen ? "chosen" : ""} ${away ? "away" : ""}`}
      style={{ left: `${place.x}px`, top: `${place.y}px` }}
      aria-pressed={chosen}
      onClick={() => { selection.value = chosen ? null : { kind: "edge", id: item.id }; }}
    >
      <span class="hidden">{`${edge.source} to ${edge.destination}: `}</span>
      <span class="badge-line">
        <Icon name={isDenied ? "denied" : edge.mutual_tls ? "lock" : "unlocked"} />
        {isDenied ? (
          <span>{`denied ${short(edge.denied_per_second)}/s`}</span>
        ) : (
          <span>
            {short(edge.requests_per_second)}
            <span class="badge-unit">{rateUnit(edge.protocol).replace(/^req/, "").replace(/^conn/, " conn")}</span>
          </span>
        )}
        {edge.split_percent !== null ? <span class="badge-split">{`${short(edge.split_percent)}%`}<span class="hidden"> of the split, </span></span> : null}
      </span>
      {!isDenied && (edge.success_percent !== null || edge.denied_per_second > 0) ? (
        <span class="badge-sub">
          {edge.success_percent !== null ? <span class={`success-${state}`}>{`${percent(edge.success_percent)} ok`}</span> : null}
          {edge.denied_per_second > 0 ? <span class="tone-error">{`${short(edge.denied_per_second)}/s denied`}</span> : null}
        </span>
      ) : null}
      <span class="hidden">{isDenied ? `: ${edge.deny_reason}` : edge.mutual_tls ? ", mutual TLS" : ", plaintext"}</span>
    </button>
  );
}
