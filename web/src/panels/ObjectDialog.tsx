import { useEffect, useState } from "preact/hooks";
import { CallError, object } from "../api";
import type { ObjectItem } from "../model";
import { Code } from "../parts/Code";
import { Dialog } from "../parts/Dialog";
import { type ObjectRef, openObject } from "../state";
import { toYaml } from "../yaml";

/** The object that is open, as YAML. */
export function ObjectDialog() {
  const reference = openObject.value;
  if (!reference) return null;
  const name = reference.namespace ? `${reference.namespace}/${reference.name}` : reference.name;
  return (
    <Dialog key={`${reference.kind} ${name}`} title={`${reference.kind} ${name}`} onClose={() => { openObject.value = null; }}>
      <Content reference={reference} />
    </Dialog>
  );
}

function Content({ reference }: { reference: ObjectRef }) {
  const [item, setItem] = useState<ObjectItem | null | undefined>();
  const [trouble, setTrouble] = useState("");
  const { kind, namespace, name, group } = reference;
  useEffect(() => {
    object(kind, namespace, name, group).then(setItem, (error: unknown) => setTrouble(error instanceof CallError ? `${error.message} ${error.hint}` : String(error)));
  }, [kind, namespace, name, group]);
  if (trouble) return <p role="alert" class="tone-error">{trouble}</p>;
  if (item === undefined) return <p role="status" class="muted">Reading…</p>;
  if (item === null) return <p role="status">This object does not exist any more.</p>;
  return (
    <>
      {item.where ? <p class="mono muted">{item.where}</p> : null}
      <Code text={toYaml(item.raw)} label={`${kind} ${name}, YAML`} />
    </>
  );
}
