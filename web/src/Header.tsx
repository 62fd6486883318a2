import { Icon } from "./parts/Icon";
import { connection, figures, TABS, type Tab, tab, view } from "./state";

const TITLES: Record<Tab, string> = {
  graph: "Graph",
  workloads: "Workloads",
  proxies: "Proxies",
  objects: "Objects",
  denials: "Denials",
  explain: "Explain",
};

/** Which mesh this is, where to go, and whether the page is live. */
export function Header() {
  const mesh = view.value;
  return (
    <header class="header">
      <div class="brand">
        <Icon name="logo" />
        <span class="brand-name">Open Service Mesh</span>
        {mesh ? <span class="brand-mesh">{mesh.mesh}</span> : null}
      </div>
      <nav aria-label="Views" class="tabs">
        {TABS.map((name) => (
          <a key={name} href={`#/${name}`} aria-current={tab.value === name ? "page" : undefined} class="tab">
            {TITLES[name]}
            <Count name={name} />
          </a>
        ))}
      </nav>
      <div class="header-end">
        {mesh ? <span class="pill pill-plain" title={mesh.platform}>{mesh.platform.split(",")[0]}</span> : null}
        {mesh ? <Mode mode={mesh.policy_mode} /> : null}
        <Live />
      </div>
    </header>
  );
}

function Count({ name }: { name: Tab }) {
  const mesh = view.value;
  const sums = figures.value;
  if (!mesh || !sums) return null;
  switch (name) {
    case "workloads":
      return <span class="count">{mesh.workloads.length}</span>;
    case "proxies": {
      const behind = sums.proxies - sums.inSync;
      return behind > 0 ? (
        <span class="count count-warning">{behind}<span class="hidden"> not in sync</span></span>
      ) : (
        <span class="count">{sums.proxies}</span>
      );
    }
    case "objects":
      return sums.errors > 0 ? (
        <span class="count count-error">{sums.errors}<span class="hidden"> errors</span></span>
      ) : (
        <span class="count">{mesh.objects.length}</span>
      );
    case "denials":
      return mesh.denials.length > 0 ? <span class="count count-error">{mesh.denials.length}</span> : null;
    default:
      return null;
  }
}

function Mode({ mode }: { mode: string }) {
  const isPermissive = mode === "permissive";
  return (
    <span
      class={`pill ${isPermissive ? "pill-warning" : "pill-accent"}`}
      title={isPermissive ? "Every workload may talk to every other one." : "Only what a TrafficTarget allows may pass."}
    >
      <Icon name={isPermissive ? "unlocked" : "shield"} />
      {isPermissive ? "Permissive" : "SMI policies"}
    </span>
  );
}

function Live() {
  const words = { connecting: "Connecting", live: "Live", lost: "Disconnected" };
  return (
    <span class={`live live-${connection.value}`} role="status">
      <span class="live-dot" aria-hidden="true" />
      {words[connection.value]}
    </span>
  );
}
