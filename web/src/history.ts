/** The last minutes of each edge, kept in the browser. */

import { edgeId } from "./graph/elements";
import type { MeshView } from "./model";

export const KEEP_S = 300;
const MOST_EDGES = 500;

export interface Sample {
  /** Seconds since the epoch, by the mesh's clock. */
  at: number;
  rate: number;
  denied: number;
}

export type History = ReadonlyMap<string, readonly Sample[]>;

/** The key of the mesh as a whole. */
export const ALL = "";

/** Add a view's rates. Old samples go; a second view of the same moment changes nothing. */
export function remember(history: History, view: MeshView): History {
  const at = Date.parse(view.now) / 1000;
  const next = new Map<string, readonly Sample[]>();
  let rate = 0;
  let denied = 0;
  for (const edge of view.edges.slice(0, MOST_EDGES)) {
    const sample = { at, rate: edge.requests_per_second, denied: edge.denied_per_second };
    rate += sample.rate;
    denied += sample.denied;
    const id = edgeId(edge);
    next.set(id, extended(history.get(id), sample));
  }
  next.set(ALL, extended(history.get(ALL), { at, rate, denied }));
  return next;
}

function extended(samples: readonly Sample[] | undefined, sample: Sample): readonly Sample[] {
  const last = samples?.at(-1);
  if (!samples || !last || sample.at < last.at) return [sample];
  if (sample.at === last.at) return samples;
  return [...samples.filter((old) => old.at > sample.at - KEEP_S), sample];
}
