/** Calls of the JSON API. The token of this run goes with each call that is not a plain read. */

import type { Explanation, LogLine, ObjectItem, Question, Refusal } from "./model";

/** What went wrong with a call, in words for people. */
export class CallError extends Error {
  constructor(
    message: string,
    readonly hint: string,
    readonly status: number,
  ) {
    super(message);
  }
}

interface Session {
  token: string;
  version: string;
}

let session: Promise<Session> | null = null;

/** Forget the token: the mesh was started again, and its token with it. */
export function forgetSession(): void {
  session = null;
}

export async function version(): Promise<string> {
  return (await currentSession()).version;
}

export function explain(question: Question): Promise<Explanation> {
  return answered("explain", question);
}

/** Why something was refused, and whether it would be now. */
export function explainRefusal(refusal: Refusal): Promise<Explanation> {
  return answered("explain/refusal", refusal);
}

/** Ask once more with a new token: the mesh may have been started again. */
async function answered(path: string, body: unknown): Promise<Explanation> {
  try {
    return await post<Explanation>(path, body);
  } catch (error) {
    if (!(error instanceof CallError) || error.status !== 403) throw error;
    forgetSession();
    return post<Explanation>(path, body);
  }
}

export async function object(kind: string, namespace: string, name: string, group: string): Promise<ObjectItem | null> {
  const query = new URLSearchParams({ kind, namespace, name });
  // An origin may leave the group out; an empty one would find objects of Kubernetes' core only.
  if (group) query.set("group", group);
  const answer = await read(`objects?${query}`);
  return ((await answer.json()) as { items: ObjectItem[] }).items[0] ?? null;
}

export async function logs(namespace: string, name: string): Promise<LogLine[]> {
  const query = new URLSearchParams({ workload: `${namespace}/${name}`, tail: "200" });
  const text = await (await read(`logs?${query}`)).text();
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line) as LogLine);
}

async function post<T>(path: string, body: unknown): Promise<T> {
  const { token } = await currentSession();
  const headers = { "content-type": "application/json", "x-osm-token": token };
  return (await call(path, { method: "POST", headers, body: JSON.stringify(body) })).json() as Promise<T>;
}

async function currentSession(): Promise<Session> {
  session ??= read("session").then((answer) => answer.json() as Promise<Session>);
  try {
    return await session;
  } catch (error) {
    session = null;
    throw error;
  }
}

function read(path: string): Promise<Response> {
  return call(path, {});
}

async function call(path: string, init: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(`/api/v1/${path}`, { ...init, credentials: "omit", redirect: "error" });
  } catch {
    throw new CallError("The mesh does not answer.", "Is it still running? See `osm status`.", 0);
  }
  if (answer.ok) return answer;
  const trouble = (await answer.json().catch(() => ({}))) as { message?: string; hint?: string };
  throw new CallError(trouble.message ?? `The call failed (${answer.status}).`, trouble.hint ?? "", answer.status);
}
