/** The ways of edges across the picture, and where on them there is room for their figures. */

import type { Point } from "./layout";

/** A curve through its ends, pulled by its bends: what the canvas draws. */
export interface Way {
  from: Point;
  to: Point;
  bends: readonly Point[];
}

const BADGE = { width: 104, height: 42 };
const SHARES = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74];

/** The way as an SVG path. */
export function path(way: Way): string {
  const pieces = piecesOf(way).map(({ bend, end }) => (bend ? ` Q${at(bend)} ${at(end)}` : ` L${at(end)}`));
  return `M${at(way.from)}${pieces.join("")}`;
}

/** The point at a share of the way, 0 at its beginning and 1 at its end. */
export function pointAt(way: Way, share: number): Point {
  const pieces = piecesOf(way);
  const place = Math.min(share * pieces.length, pieces.length - 1e-9);
  const piece = pieces[Math.floor(place)];
  if (!piece) return way.from;
  const t = place - Math.floor(place);
  const { start, bend, end } = piece;
  if (!bend) return between(start, end, t);
  return between(between(start, bend, t), between(bend, end, t), t);
}

/** Where each edge's figures go: in the middle, or moved along the edge when that place is taken. */
export function spread(ways: ReadonlyMap<string, Way>): Map<string, Point> {
  const taken: Point[] = [];
  const spots = new Map<string, Point>();
  for (const [id, way] of ways) {
    const choices = SHARES.map((share) => pointAt(way, share));
    const spot = choices.find((choice) => !taken.some((other) => covers(other, choice))) ?? choices[0] ?? way.from;
    taken.push(spot);
    spots.set(id, spot);
  }
  return spots;
}

function covers(a: Point, b: Point): boolean {
  return Math.abs(a.x - b.x) < BADGE.width && Math.abs(a.y - b.y) < BADGE.height;
}

function piecesOf(way: Way): { start: Point; bend: Point | undefined; end: Point }[] {
  const { from, to, bends } = way;
  if (bends.length === 0) return [{ start: from, bend: undefined, end: to }];
  let start = from;
  return bends.map((bend, index) => {
    const next = bends[index + 1];
    // Two neighbouring bends meet half way, so that the curve has no corner.
    const end = next ? between(bend, next, 0.5) : to;
    const piece = { start, bend, end };
    start = end;
    return piece;
  });
}

function between(a: Point, b: Point, share: number): Point {
  return { x: a.x + (b.x - a.x) * share, y: a.y + (b.y - a.y) * share };
}

function at(point: Point): string {
  return `${point.x.toFixed(1)},${point.y.toFixed(1)}`;
}
