import { selection } from "../state";
import type { AppNode } from "./elements";
import { NODE_HEIGHT, NODE_WIDTH, type Point } from "./layout";

const RING = 2 * Math.PI * 15;

/** An app on the picture: how many of its workloads are ready, its name and version. */
export function NodeCard({ node, place, away }: { node: AppNode; place: Point; away: boolean }) {
  const chosen = selection.value?.kind === "node" && selection.value.id === node.id;
  const count = node.workloads.length;
  const share = count > 0 ? node.ready / count : 0;
  return (
    <button
      type="button"
      class={`node node-${node.status} ${chosen ? "chosen" : ""} ${away ? "away" : ""}`}
      style={{
        left: `${place.x - NODE_WIDTH / 2}px`,
        top: `${place.y - NODE_HEIGHT / 2}px`,
        width: `${NODE_WIDTH}px`,
        height: `${NODE_HEIGHT}px`,
      }}
      data-node={node.id}
      aria-pressed={chosen}
      onClick={() => { selection.value = chosen ? null : { kind: "node", id: node.id }; }}
    >
      <svg class="ring" viewBox="0 0 36 36" aria-hidden="true">
        <circle class="ring-track" cx="18" cy="18" r="15" />
        <circle class="ring-share" cx="18" cy="18" r="15" stroke-dasharray={`${RING * share} ${RING}`} transform="rotate(-90 18 18)" />
        <text x="18" y="22" text-anchor="middle">{count > 0 ? `${node.ready}/${count}` : "?"}</text>
      </svg>
      <span class="node-text">
        <span class="node-name" title={node.app}>
          {node.title}
        </span>
        <span class="hidden">{node.version ? `-${node.version}` : ""}{`, namespace ${node.namespace}, ${node.statusText}, `}</span>
        <span class="node-sub">{node.statusText === `${node.ready}/${count} ready` ? node.workloads[0]?.service_account : node.statusText}</span>
      </span>
      {node.version ? <span class="node-version" aria-hidden="true">{node.version}</span> : null}
    </button>
  );
}
