import { useEffect, useState } from "preact/hooks";
import { CallError, explain, explainRefusal } from "../api";
import { originText, percent } from "../format";
import type { Explanation, MeshView, Question, Step } from "../model";
import { Code } from "../parts/Code";
import { Icon } from "../parts/Icon";
import { toneOf } from "../parts/Status";
import { headersOf } from "../question";
import { asked, headerText, openObject, question, refusal, view } from "../state";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** May this request pass, where does it go, and which object says so. */
export function Explain() {
  const [answer, setAnswer] = useState<Explanation | null>(null);
  const [trouble, setTrouble] = useState<{ message: string; hint: string } | null>(null);
  const [waiting, setWaiting] = useState(false);
  const send = async (): Promise<void> => {
    const { headers, wrong } = headersOf(question.value.method ? headerText.value : "");
    if (wrong) {
      setAnswer(null);
      setTrouble({ message: `“${wrong}” is no header.`, hint: "Write each on a line of its own, as name: value." });
      return;
    }
    setWaiting(true);
    setTrouble(null);
    try {
      if (refusal.value) {
        const found = await explainRefusal({ ...refusal.value, headers });
        question.value = { ...found.question, headers: [] };
        setAnswer(found);
      } else {
        setAnswer(await explain({ ...question.value, headers }));
      }
    } catch (error) {
      setAnswer(null);
      setTrouble(error instanceof CallError ? error : { message: String(error), hint: "" });
    } finally {
      setWaiting(false);
    }
  };
  useEffect(() => {
    if (asked.value > 0 && question.value.source) void send();
  }, [asked.value]);
  return (
    <section class="explain">
      <h1 class="panel-title">Explain a request</h1>
      <form class="explain-form" onSubmit={(event) => { event.preventDefault(); void send(); }}>
        <Fields />
        <button type="submit" class="button button-primary" disabled={waiting}>{waiting ? "Asking…" : "Explain"}</button>
      </form>
      <div aria-live="polite">
        {trouble ? (
          <div class="callout callout-error" role="alert">
            <h3><Icon name="warning" />{trouble.message}</h3>
            {trouble.hint ? <p>{trouble.hint}</p> : null}
          </div>
        ) : null}
        {answer ? <Answer answer={answer} /> : null}
        {!answer && !trouble ? (
          <p class="muted">Name who calls and what it calls, as the program would write it. The answer names the object and the field behind each decision.</p>
        ) : null}
      </div>
    </section>
  );
}

function Fields() {
  const { source, destination, method, path } = question.value;
  const change = (part: Partial<Question>) => {
    question.value = { ...question.value, ...part };
    refusal.value = null;
  };
  const names = view.value ? suggestions(view.value) : { sources: [], destinations: [] };
  return (
    <>
      <label class="field">
        From
        <input class="input" required list="sources" placeholder="bookbuyer/bookbuyer" value={source} onInput={(event) => change({ source: event.currentTarget.value })} />
        <datalist id="sources">{names.sources.map((name) => <option key={name} value={name} />)}</datalist>
      </label>
      <label class="field">
        To (host and port)
        <input class="input" required list="destinations" placeholder="bookstore.bookstore:14001" value={destination} onInput={(event) => change({ destination: event.currentTarget.value })} />
        <datalist id="destinations">{names.destinations.map((name) => <option key={name} value={name} />)}</datalist>
      </label>
      <label class="field">
        Method
        <select class="input" value={method} onChange={(event) => change({ method: event.currentTarget.value })}>
          {METHODS.map((name) => <option key={name} value={name}>{name}</option>)}
          <option value="">TCP connection</option>
        </select>
      </label>
      <label class="field field-wide">
        Path
        <input class="input mono" value={path} disabled={!method} onInput={(event) => change({ path: event.currentTarget.value })} />
      </label>
      <label class="field field-headers">
        Headers, one on each line
        <textarea
          class="input mono"
          rows={2}
          placeholder="client-app: bookthief"
          value={headerText.value}
          disabled={!method}
          onInput={(event) => { headerText.value = event.currentTarget.value; }}
        />
      </label>
    </>
  );
}

function suggestions(mesh: MeshView): { sources: string[]; destinations: string[] } {
  const sources = mesh.workloads.map((workload) => `${workload.namespace}/${workload.app || workload.name}`);
  const services = mesh.workloads.flatMap((workload) => workload.services);
  const destinations = services.map((service) => service.split("/").reverse().join("."));
  return { sources: [...new Set(sources)].slice(0, 200), destinations: [...new Set(destinations)].slice(0, 200) };
}

function Answer({ answer }: { answer: Explanation }) {
  const tone = answer.allowed ? "ok" : "error";
  return (
    <article data-testid="explanation" class="answer">
      <div class={`callout callout-${tone}`}>
        <h2>
          <Icon name={answer.allowed ? "check" : "denied"} />
          <span class="verdict">{answer.verdict}</span>
        </h2>
        <p>{answer.summary}</p>
        {answer.advice.map((sentence) => <p key={sentence} class="advice">{sentence}</p>)}
      </div>
      <div class="answer-columns">
        <div>
          <h3 class="side-section">How it was decided</h3>
          <ol class="steps">{answer.steps.map((step, number) => <StepItem key={number} step={step} />)}</ol>
        </div>
        <div>
          {answer.backends.length > 0 ? (
            <>
              <h3 class="side-section">{answer.allowed ? "Where it goes" : "Where it would go"}</h3>
              <ul class="plain">
                {answer.backends.map(([name, share]) => (
                  <li key={name} class="backend">
                    <span class="mono">{name}</span>
                    <span>{percent(share)}</span>
                    <span class="bar" aria-hidden="true"><span style={{ width: `${Math.min(100, share)}%` }} /></span>
                  </li>
                ))}
              </ul>
            </>
          ) : null}
          {answer.remedy ? (
            <>
              <h3 class="side-section">What would allow it</h3>
              <Code text={answer.remedy} label="Rule that would allow it, YAML" />
              <p class="muted">Save it in the mesh’s directory, or: osm apply -f -</p>
            </>
          ) : null}
        </div>
      </div>
    </article>
  );
}

function StepItem({ step }: { step: Step }) {
  const tone = toneOf(step.outcome);
  return (
    <li class={`step step-${tone}`}>
      <span class="step-mark"><Icon name={tone === "ok" ? "check" : tone === "error" ? "cross" : "info"} label={step.outcome} /></span>
      <div>
        <strong>{step.title}</strong>
        <p>{step.text}</p>
        {step.origins.map((origin) => (
          <button key={originText(origin)} type="button" class="link mono" onClick={() => { openObject.value = origin; }}>
            {originText(origin)}
          </button>
        ))}
      </div>
    </li>
  );
}
