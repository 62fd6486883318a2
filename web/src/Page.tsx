import { Figures } from "./Figures";
import { Header } from "./Header";
import { Denials } from "./panels/Denials";
import { Explain } from "./panels/Explain";
import { LogsDialog } from "./panels/LogsDialog";
import { ObjectDialog } from "./panels/ObjectDialog";
import { Objects } from "./panels/Objects";
import { Overview } from "./panels/Overview";
import { Proxies } from "./panels/Proxies";
import { Workloads } from "./panels/Workloads";
import { connection, type Tab, tab, view } from "./state";

const PANELS: Record<Tab, () => preact.JSX.Element> = {
  graph: Overview,
  workloads: Workloads,
  proxies: Proxies,
  objects: Objects,
  denials: Denials,
  explain: Explain,
};

/** The whole page. */
export function Page() {
  const Panel = PANELS[tab.value];
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>
        Skip to content
      </a>
      <Header />
      <Banner />
      {view.value ? <Figures /> : null}
      <main id="main" tabIndex={-1} class={tab.value === "graph" ? "main main-graph" : "main"}>
        {view.value ? <Panel /> : <Waiting />}
      </main>
      <ObjectDialog />
      <LogsDialog />
    </>
  );
}

function Banner() {
  if (connection.value !== "lost" || !view.value) return null;
  return (
    <div class="banner" role="alert">
      <strong>Connection lost.</strong> The mesh does not answer; what you see is from{" "}
      {new Date(view.value.now).toLocaleTimeString()}. Trying again…
    </div>
  );
}

function Waiting() {
  const lost = connection.value === "lost";
  return (
    <div class="empty" role="status">
      <h1>{lost ? "No answer from the mesh" : "Connecting to the mesh…"}</h1>
      <p>{lost ? "It may have ended. Start it with osm demo or osm up; this page comes back by itself." : "The first picture comes in a moment."}</p>
    </div>
  );
}
