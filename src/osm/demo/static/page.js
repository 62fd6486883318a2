"use strict";
const find = (id) => document.getElementById(id);
const title = document.title;
const total = find("total");
const parts = [...document.querySelectorAll(".part")];
const seconds = new Array(60).fill(0);
let before = null;

function show(id, text, kind) {
  const element = find(id);
  if (element.textContent !== text) element.textContent = text;
  element.className = "state " + kind;
}

function draw() {
  const most = Math.max(1, ...seconds);
  const bars = seconds.map((count, index) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const height = (56 * count) / most;
    for (const [name, value] of Object.entries({ x: index * 5 + 0.5, y: 60 - height, width: 4, height }))
      bar.setAttribute(name, value);
    return bar;
  });
  find("rate").replaceChildren(...bars);
  const recent = seconds.slice(-10).reduce((sum, count) => sum + count, 0) / 10;
  find("speed").textContent = recent.toFixed(1) + " per second";
}

function showCounters(raw) {
  const now = raw[total.dataset.key];
  total.textContent = now.toLocaleString("en");
  document.title = now + " · " + title;
  for (const part of parts) {
    const count = raw[part.dataset.key];
    part.querySelector("output").textContent = count.toLocaleString("en");
    part.querySelector("b").style.width = now ? (100 * count) / now + "%" : "0";
  }
  seconds.push(before === null ? 0 : Math.max(0, now - before));
  seconds.shift();
  before = now;
  draw();
  const moving = seconds.slice(-5).some((count) => count > 0);
  show("state", moving ? "counting" : "standing still", moving ? "moving" : "");
}

function showEvents(events) {
  const rows = events.map((event) => {
    const row = document.createElement("li");
    row.className = event.mood;
    const time = row.appendChild(document.createElement("time"));
    time.textContent = new Date(event.at * 1000).toLocaleTimeString("en-GB");
    row.appendChild(document.createElement("span")).textContent =
      event.times > 1 ? `${event.text} (${event.times} times)` : event.text;
    return row;
  });
  find("events").replaceChildren(...rows);
}

async function ask(path, options) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(3000), ...options });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error);
  return content;
}

async function refresh() {
  try {
    showEvents(await ask("activity"));
    showCounters(await ask("raw"));
  } catch (failure) {
    show("state", failure instanceof TypeError || failure.name === "TimeoutError" ? "does not answer" : failure.message, "lost");
  }
}

find("reset").addEventListener("click", async () => {
  try {
    await ask("reset", { method: "POST" });
  } catch { /* the next refresh says what is wrong */ }
  before = null;
  refresh();
});
draw();
refresh();
setInterval(() => document.hidden || refresh(), 1000);
