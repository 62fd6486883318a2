/** The live view: an event stream that comes back by itself, and rests while nobody looks. */

import { forgetSession } from "./api";
import { remember } from "./history";
import type { MeshView } from "./model";
import { connection, history, view } from "./state";

const SILENCE_MS = 4000;
const RETRY_MS = 2000;

/** Follow the mesh until the page closes. */
export function follow(): void {
  let source: EventSource | null = null;
  let heardAt = performance.now();

  const open = (): void => {
    source?.close();
    source = new EventSource("/api/v1/events");
    source.addEventListener("view", (event: MessageEvent<string>) => {
      heardAt = performance.now();
      receive(JSON.parse(event.data) as MeshView);
    });
  };

  document.addEventListener("visibilitychange", () => {
    heardAt = performance.now();
    if (document.hidden) source?.close();
    else open();
  });
  setInterval(() => {
    if (document.hidden) return;
    if (performance.now() - heardAt > SILENCE_MS) connection.value = "lost";
    // A refused stream is closed for good by the browser; ask again.
    if (source?.readyState === EventSource.CLOSED) open();
  }, RETRY_MS);
  open();
}

function receive(next: MeshView): void {
  if (view.value && view.value.started !== next.started) {
    forgetSession();
    history.value = new Map();
  }
  history.value = remember(history.value, next);
  view.value = next;
  connection.value = "live";
}
