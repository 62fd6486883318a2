/** Small drawings of our own; they take the colour of the text around them. */

const PATHS = {
  logo: "M6 8.500 12 17l6-8.500M6 8.500h12",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M5.500 11h13v9h-13z",
  unlocked: "M7 11V8a5 5 0 0 1 9.600-2M5.500 11h13v9h-13z",
  shield: "M12 3.500 19 6v5.500c0 4.200-2.900 7.200-7 9-4.100-1.800-7-4.800-7-9V6zM9 12l2.200 2.200L15.200 10",
  denied: "M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17M6 6l12 12",
  check: "M5 12.500 10 17.500 19 7",
  cross: "M6 6l12 12M18 6 6 18",
  info: "M12 11v6M12 7.500v.1M12 3.500a8.500 8.500 0 1 0 0 17 8.500 8.500 0 0 0 0-17",
  warning: "M12 4 21 19.500H3zM12 10v4.500M12 17v.1",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  back: "M14.500 5.500 8 12l6.500 6.500",
  link: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  arrange: "M4 5h6v5H4zM14 3.500h6v5h-6zM14 15.500h6v5h-6zM10 7.500h2v10.500h2M12 6h2",
  split: "M4 12h5l5-6h6M9 12l5 6h6M17 3.500 20 6l-3 2.500M17 15.500 20 18l-3 2.500",
  logs: "M5 6h14M5 10h14M5 14h9M5 18h11",
} as const;

export type IconName = keyof typeof PATHS;

/** An icon. It says nothing to a screen reader unless it has a label. */
export function Icon({ name, label }: { name: IconName; label?: string }) {
  const described = label ? { role: "img" as const, "aria-label": label } : { "aria-hidden": "true" as const };
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 24 24" {...described}>
      <path d={PATHS[name]} />
      {name === "logo" ? (
        <g class="icon-dots">
          <circle cx="6" cy="8.500" r="3" />
          <circle cx="18" cy="8.500" r="3" />
          <circle cx="12" cy="17" r="3" />
        </g>
      ) : null}
    </svg>
  );
}
