import { useEffect, useState } from "preact/hooks";
import { CallError, logs } from "../api";
import type { LogLine } from "../model";
import { Dialog } from "../parts/Dialog";
import { openLogs } from "../state";

/** The last lines of a workload and its proxy. */
export function LogsDialog() {
  const workload = openLogs.value;
  if (!workload) return null;
  const name = `${workload.namespace}/${workload.name}`;
  return (
    <Dialog key={name} title={`Logs of ${name}`} onClose={() => { openLogs.value = null; }}>
      <Content namespace={workload.namespace} name={workload.name} />
    </Dialog>
  );
}

function Content({ namespace, name }: { namespace: string; name: string }) {
  const [lines, setLines] = useState<LogLine[] | null>(null);
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    logs(namespace, name).then(setLines, (error: unknown) => setTrouble(error instanceof CallError ? `${error.message} ${error.hint}` : String(error)));
  }, [namespace, name]);
  if (trouble) return <p role="alert" class="tone-error">{trouble}</p>;
  if (!lines) return <p role="status" class="muted">Reading…</p>;
  if (lines.length === 0) return <p role="status">Nothing was printed yet.</p>;
  return (
    <>
      <p class="muted">{`The last ${lines.length} lines. To follow: osm logs ${namespace}/${name} -f`}</p>
      <pre class="logs" tabIndex={0} role="region" aria-label="Log lines">
        {lines.map((line, number) => (
          <div key={number} class={line.error ? "log-error" : ""}>
            <span class="muted">{line.time.slice(11, 23)}</span> <span class="log-from">{line.container}</span> {line.text}
          </div>
        ))}
      </pre>
    </>
  );
}
