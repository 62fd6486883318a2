import { useEffect, useState } from "preact/hooks";
import { Icon } from "./Icon";

/** YAML with a button that copies it. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div class="code">
      <div class="code-head">
        <span>YAML</span>
        <CopyButton text={text} />
      </div>
      <pre tabIndex={0} role="region" aria-label={label}>{text.split("\n").map(coloured)}</pre>
    </div>
  );
}

function coloured(line: string, number: number) {
  const match = /^(\s*(?:- )*)([\w./-]+)(:)(.*)$/.exec(line);
  if (!match) return <span key={number}>{`${line}\n`}</span>;
  const [, indent, name, colon, rest] = match;
  return (
    <span key={number}>
      {indent}
      <span class="code-key">{name}</span>
      {`${colon}${rest}\n`}
    </span>
  );
}

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <button type="button" class="button button-small" onClick={() => navigator.clipboard.writeText(text).then(() => setCopied(true))}>
      <Icon name={copied ? "check" : "copy"} />
      <span aria-live="polite">{copied ? "Copied" : "Copy"}</span>
    </button>
  );
}
