import { duration, short } from "../format";
import { KEEP_S, type Sample } from "../history";

const WIDTH = 320;
const HEIGHT = 96;
const LEFT = 34;
const BOTTOM = 16;

/** The rate of the last minutes, what was denied in red, with axes. */
export function Chart({ samples, unit }: { samples: readonly Sample[]; unit: string }) {
  const end = samples.at(-1)?.at ?? 0;
  const first = samples[0]?.at ?? end;
  const span = Math.min(KEEP_S, Math.max(60, end - first));
  const highest = Math.max(...samples.map((sample) => Math.max(sample.rate, sample.denied)), 0);
  const top = niceTop(highest);
  const x = (at: number) => LEFT + (1 - (end - at) / span) * (WIDTH - LEFT - 4);
  const y = (value: number) => 6 + (1 - value / top) * (HEIGHT - BOTTOM - 6);
  const line = (of: "rate" | "denied") => samples.map((sample) => `${x(sample.at).toFixed(1)},${y(sample[of]).toFixed(1)}`);
  const rate = line("rate");
  const hasDenied = samples.some((sample) => sample.denied > 0);
  const last = samples.at(-1);
  const summary = `${short(last?.rate ?? 0)} ${unit} now, at most ${short(highest)} in the last ${duration(span)}`;
  return (
    <svg class="chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={summary}>
      {[0, 0.5, 1].map((share) => (
        <g key={share}>
          <line class="chart-grid" x1={LEFT} x2={WIDTH - 4} y1={y(top * share)} y2={y(top * share)} />
          <text class="chart-text" x={LEFT - 6} y={y(top * share) + 3.5} text-anchor="end">{short(top * share)}</text>
        </g>
      ))}
      <text class="chart-text" x={LEFT} y={HEIGHT - 3}>{`−${duration(span)}`}</text>
      <text class="chart-text" x={WIDTH - 4} y={HEIGHT - 3} text-anchor="end">now</text>
      {rate.length > 1 ? (
        <>
          <polygon class="chart-area" points={`${x(first).toFixed(1)},${y(0)} ${rate.join(" ")} ${x(end).toFixed(1)},${y(0)}`} />
          <polyline class="chart-rate" points={rate.join(" ")} />
          {hasDenied ? <polyline class="chart-denied" points={line("denied").join(" ")} /> : null}
        </>
      ) : null}
    </svg>
  );
}

/** The next of 1, 2, 5, 10, 20, 50 … at or above a value. */
function niceTop(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}
