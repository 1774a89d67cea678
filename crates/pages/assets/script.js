// Makes pages live: everything here also works without it, by links and buttons.
"use strict";

// Fetches the page anew, and replaces the parts that may change.
let waiting;
function schedule() {
  clearTimeout(waiting);
  const seconds = Number(document.body.dataset.refresh);
  if (seconds > 0) waiting = setTimeout(refresh, seconds * 1000);
}

async function refresh() {
  if (!document.hidden) await load(location.href).catch(() => {});
  schedule();
}

async function load(address) {
  const answer = await fetch(address, { headers: { accept: "text/html" }, cache: "no-store" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of page.querySelectorAll("[data-live][id]")) {
    const old = document.getElementById(part.id);
    // Who reads or types in a part is not disturbed.
    if (!old || old.isEqualNode(part) || old.contains(document.activeElement)) continue;
    const log = old.querySelector(".log");
    const atEnd = log && log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    const scroll = log && log.scrollTop;
    const open = [...old.querySelectorAll("details")].map((details) => details.open);
    const fresh = document.importNode(part, true);
    old.replaceWith(fresh);
    fresh.querySelectorAll("details").forEach((details, index) => { if (open[index]) details.open = true; });
    const newLog = fresh.querySelector(".log");
    if (newLog) newLog.scrollTop = atEnd ? newLog.scrollHeight : scroll || 0;
  }
  hideReadout();
  document.body.dataset.refresh = page.body.dataset.refresh || "";
}

// Forms that only choose what is shown are sent when a field changes.
function choose(form, address) {
  history.replaceState(null, "", address);
  return load(address).catch(() => form.submit());
}

document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (!form || !("chooses" in form.dataset)) return;
  const output = form.querySelector(`output[for="${event.target.id}"]`);
  if (output) output.value = event.target.value;
  clearTimeout(form.waiting);
  form.waiting = setTimeout(() => {
    const query = new URLSearchParams(new FormData(form));
    choose(form, `${form.getAttribute("action") || location.pathname}?${query}`).then(() => event.target.focus());
  }, 150);
});

// Asks before what cannot be undone.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// Shows values under the pointer, or at the place that arrow keys choose.
let readout;

function hideReadout() {
  if (readout) readout.remove();
  readout = undefined;
  document.querySelectorAll(".k-cursor").forEach((line) => line.remove());
}

function nearest(points, x) {
  let low = 0;
  let high = points.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle + 1;
    else high = middle;
  }
  return low > 0 && x - points[low - 1][0] < points[low][0] - x ? low - 1 : low;
}

function show(svg, x) {
  const values = (svg.values ??= JSON.parse(svg.dataset.hover));
  const lines = values.series.filter((series) => series.points.length);
  const all = lines.map((series) => ({ series, point: series.points[nearest(series.points, x)] }));
  hideReadout();
  if (!all.length) return;
  const best = all.reduce((a, b) => (Math.abs(b.point[0] - x) < Math.abs(a.point[0] - x) ? b : a));
  const at = best.point[0];
  const cursor = document.createElementNS(svg.namespaceURI, "path");
  cursor.setAttribute("class", "k-cursor");
  cursor.setAttribute("d", `M${at} ${values.top}V${values.bottom}`);
  svg.append(cursor);
  readout = document.createElement("div");
  readout.className = "readout";
  readout.setAttribute("role", "status");
  const head = document.createElement("div");
  head.textContent = `${values.x}: ${best.point[2]}`;
  readout.append(head);
  for (const { series, point } of all) {
    if (Math.abs(point[0] - at) > 12 && all.length > 1) continue;
    const row = document.createElement("div");
    const mark = document.createElement("i");
    mark.textContent = "●";
    mark.style.color = series.hue;
    row.append(mark, `${series.name}: ${point[3]}`);
    readout.append(row);
  }
  document.body.append(readout);
  const box = svg.getBoundingClientRect();
  const scale = box.width / svg.viewBox.baseVal.width;
  const left = box.left + at * scale + 12;
  readout.style.left = `${Math.max(4, Math.min(left, innerWidth - readout.offsetWidth - 8))}px`;
  readout.style.top = `${Math.max(4, box.top + values.top * scale)}px`;
  svg.at = at;
}

document.addEventListener("pointermove", (event) => {
  const svg = event.target.closest && event.target.closest("svg[data-hover]");
  if (!svg) {
    if (readout && !document.activeElement.closest("svg[data-hover]")) hideReadout();
    return;
  }
  const box = svg.getBoundingClientRect();
  show(svg, ((event.clientX - box.left) * svg.viewBox.baseVal.width) / box.width);
});

document.addEventListener("keydown", (event) => {
  const svg = event.target.closest && event.target.closest("svg[data-hover]");
  if (!svg || !["ArrowLeft", "ArrowRight", "Escape"].includes(event.key)) return;
  if (event.key === "Escape") return hideReadout();
  event.preventDefault();
  const values = (svg.values ??= JSON.parse(svg.dataset.hover));
  const places = values.series.flatMap((series) => series.points.map((point) => [point[0]]));
  places.sort((a, b) => a[0] - b[0]);
  const last = places.length - 1;
  const now = svg.at === undefined ? last : nearest(places, svg.at);
  let next = now;
  const step = event.key === "ArrowLeft" ? -1 : 1;
  while (next + step >= 0 && next + step <= last && places[next][0] === places[now][0]) next += step;
  if (last >= 0) show(svg, places[next][0]);
});

document.addEventListener("focusout", hideReadout);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
for (const log of document.querySelectorAll(".log[data-tail]")) log.scrollTop = log.scrollHeight;
schedule();
