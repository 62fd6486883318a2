/** JSON values as block YAML, the way that manifests are written. */

const PLAIN = /^[A-Za-z_./][A-Za-z0-9_./@ -]*$/;
const RESERVED = /^(true|false|null|yes|no|on|off|y|n|~|\.inf|\.nan|\..*)$/i;

/** Write a JSON value as YAML. Strings that would read as something else are quoted. */
export function toYaml(value: unknown): string {
  return isCollection(value) ? `${lines(value).join("\n")}\n` : `${scalar(value)}\n`;
}

function lines(value: object): string[] {
  return Array.isArray(value) ? value.flatMap(item) : Object.entries(value).flatMap(entry);
}

function item(value: unknown): string[] {
  if (!isCollection(value)) return text("- ", value);
  const [first = "", ...rest] = lines(value);
  return [`- ${first}`, ...rest.map(indent)];
}

function entry([key, value]: [string, unknown]): string[] {
  const name = scalar(key);
  if (!isCollection(value)) return text(`${name}: `, value);
  // Sequences stand at their key's own indentation, as kubectl writes them.
  return [`${name}:`, ...(Array.isArray(value) ? lines(value) : lines(value).map(indent))];
}

function text(prefix: string, value: unknown): string[] {
  const isBlock = typeof value === "string" && /[^\n]\n/.test(value) && !/^\s|[^\S\n]\n|\n\n$|[\u0000-\u0009\u000b-\u001f\u007f]/.test(value);
  if (!isBlock) return [prefix + scalar(value)];
  const body = value.endsWith("\n") ? value.slice(0, -1) : value;
  const mark = value.endsWith("\n") ? "|" : "|-";
  return [prefix + mark, ...body.split("\n").map((line) => (line ? `  ${line}` : ""))];
}

function scalar(value: unknown): string {
  if (typeof value === "string") {
    const isPlain = PLAIN.test(value) && !RESERVED.test(value) && !value.endsWith(" ");
    return isPlain ? value : JSON.stringify(value);
  }
  if (Array.isArray(value)) return "[]";
  if (typeof value === "object" && value !== null) return "{}";
  return String(value);
}

function isCollection(value: unknown): value is object {
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}

function indent(line: string): string {
  return line ? `  ${line}` : line;
}
