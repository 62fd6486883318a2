import { Icon, type IconName } from "./Icon";

export type Tone = "ok" | "warning" | "error" | "info";

const ICONS: Record<Tone, IconName> = { ok: "check", warning: "warning", error: "denied", info: "info" };

/** A state as icon and words: colour alone says nothing to many people. */
export function Status({ tone, text }: { tone: Tone; text: string }) {
  return (
    <span class={`status tone-${tone}`}>
      <Icon name={ICONS[tone]} />
      {text}
    </span>
  );
}

/** The tone of a workload's phase. */
export function phaseTone(phase: string): Tone {
  if (phase === "ready") return "ok";
  return phase === "failed" ? "error" : "warning";
}

/** The tone of a word such as `ok`, `denied`, `warning`. */
export function toneOf(word: string): Tone {
  if (word === "ok") return "ok";
  if (word === "denied" || word === "failed" || word === "error") return "error";
  return word === "warning" ? "warning" : "info";
}
