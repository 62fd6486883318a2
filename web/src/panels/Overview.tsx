import { GraphPicture } from "../graph/GraphPicture";
import { graph, selection, view } from "../state";
import { EdgeDetails } from "./EdgeDetails";
import { NodeDetails } from "./NodeDetails";
import { Traffic } from "./Traffic";

/** The graph, and beside it what is selected, or all the traffic as a list. */
export function Overview() {
  const picture = graph.value;
  if (!picture) return <div />;
  if (view.value?.workloads.length === 0 && picture.nodes.length === 0) {
    return (
      <div class="empty">
        <h1>No workloads yet</h1>
        <p>Put manifests into the mesh’s directory, or apply some: osm apply -f apps/</p>
      </div>
    );
  }
  return (
    <div class="overview">
      <h1 class="hidden">Traffic between workloads</h1>
      <GraphPicture />
      <aside class="side" aria-label="Details">
        <Side />
      </aside>
    </div>
  );
}

function Side() {
  const chosen = selection.value;
  const picture = graph.value;
  if (chosen?.kind === "edge") {
    const edge = picture?.edges.find((item) => item.id === chosen.id);
    if (edge) return <EdgeDetails key={edge.id} item={edge} />;
  }
  if (chosen?.kind === "node") {
    const node = picture?.nodes.find((item) => item.id === chosen.id);
    if (node) return <NodeDetails key={node.id} node={node} />;
  }
  return <Traffic />;
}
