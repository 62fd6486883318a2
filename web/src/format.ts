/** Numbers, times and names as people read them. */

import type { Origin } from "./model";

/** A rate or count with about three significant digits: 0.42, 7.5, 128, 12.4k. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 0.01) return "<0.01";
  if (size < 1) return trim(value.toFixed(2));
  if (size < 99.95) return trim(value.toFixed(1));
  if (size < 9999.5) return String(Math.round(value));
  if (size < 999_950) return `${trim((value / 1000).toFixed(1))}k`;
  return `${trim((value / 1_000_000).toFixed(1))}M`;
}

function trim(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A percentage that says 100 only when nothing failed. */
export function percent(value: number | null): string {
  if (value === null) return "–";
  if (value > 99.9 && value < 100) return ">99.9%";
  return `${trim(value.toFixed(1))}%`;
}

/** Milliseconds, as seconds from one second up. */
export function latency(value: number | null): string {
  if (value === null) return "–";
  return value >= 1000 ? `${trim((value / 1000).toFixed(2))} s` : `${short(value)} ms`;
}

/** A length of time in its two largest units: 45 s, 3 min 20 s, 23 h 12 min, 4 d 2 h. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const units: [string, number][] = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const parts: string[] = [];
  let rest = whole;
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0 s";
}

/** How long before `now` a moment was; the clock is the mesh's own, not the browser's. */
export function ago(moment: string, now: string): string {
  const seconds = (Date.parse(now) - Date.parse(moment)) / 1000;
  if (Number.isNaN(seconds)) return moment;
  return seconds < 1.5 ? "just now" : `${duration(seconds)} ago`;
}

/** How long after `now` a moment comes. */
export function until(moment: string, now: string): string {
  const seconds = (Date.parse(moment) - Date.parse(now)) / 1000;
  if (Number.isNaN(seconds)) return moment;
  return seconds <= 0 ? "expired" : `in ${duration(seconds)}`;
}

/** The unit of an edge's rate: TCP has connections, the others requests. */
export function rateUnit(protocol: string): string {
  return protocol.startsWith("tcp") || protocol === "tls" ? "conn/s" : "req/s";
}

/** `Kind ns/name field`. */
export function originText(origin: Origin): string {
  const name = origin.namespace ? `${origin.namespace}/${origin.name}` : origin.name;
  return `${origin.kind} ${name}${origin.field ? ` ${origin.field}` : ""}`;
}

/** The address when it is safe to follow, else empty: an object's text never becomes a script. */
export function safeLink(address: string): string {
  try {
    const { protocol } = new URL(address);
    return protocol === "http:" || protocol === "https:" ? address : "";
  } catch {
    return "";
  }
}
