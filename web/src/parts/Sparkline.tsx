import type { Sample } from "../history";

interface SparklineProps {
  samples: readonly Sample[];
  of: "rate" | "denied";
}

const LONGEST_S = 120;
const SHORTEST_S = 15;

/** The last two minutes as a small line without axes. */
export function Sparkline({ samples, of }: SparklineProps) {
  const end = samples.at(-1)?.at ?? 0;
  const span = Math.min(LONGEST_S, Math.max(SHORTEST_S, end - (samples[0]?.at ?? end)));
  const shown = samples.filter((sample) => sample.at >= end - span);
  const top = Math.max(0.001, ...shown.map((sample) => sample[of])) * 1.15;
  const points = shown.map((sample) => {
    const x = 100 - ((end - sample.at) / span) * 100;
    return `${x.toFixed(2)},${(24 - (sample[of] / top) * 24).toFixed(2)}`;
  });
  return (
    <svg class={`sparkline sparkline-${of}`} viewBox="0 0 100 25" preserveAspectRatio="none" aria-hidden="true">
      {points.length > 1 ? <polyline points={points.join(" ")} /> : null}
    </svg>
  );
}
