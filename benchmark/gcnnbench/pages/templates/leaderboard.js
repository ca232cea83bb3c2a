"use strict";
// What a plain page cannot do: sorting (DataTables), filters, ranks among what is shown, permalinks, explanations.

const root = document.documentElement;
const form = document.getElementById("filters");
const dialog = document.getElementById("explanation");

// What the page holds beside its text, `{frame, lineage, readings}`, is inflated when something of it is asked for.
let data;
function read() {
  data ??= inflated(document.getElementById("data").textContent).json();
  return data;
}
function inflated(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
}

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// Light and dark: the system's choice, until the button is pressed.
const dark = matchMedia("(prefers-color-scheme: dark)");
function theme(name) { root.dataset.theme = name; }
theme(dark.matches ? "dark" : "light");
dark.addEventListener("change", () => theme(dark.matches ? "dark" : "light"));
document.getElementById("theme").addEventListener("click", () => theme(root.dataset.theme === "dark" ? "light" : "dark"));
root.classList.add("scripted");

// Tables.
const plain = {
  paging: false, info: false, autoWidth: false, orderClasses: false, order: [],
  layout: { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null },
  columnDefs: [{ targets: "off", visible: false }],
};
const tables = Array.from(document.querySelectorAll("table.leaderboard"));
const claims = document.querySelector("table.claims");
const made = new Map();

// A number has a name, which is its permalink: that of its row and its metric.
for (const table of tables) {
  const metrics = Array.from(table.tHead.rows[0].cells).filter((head) => head.matches(".metric"));
  for (const row of table.tBodies[0].rows) for (const head of metrics) {
    const cell = row.cells[head.cellIndex];
    if (cell.dataset.order === "-1") continue;
    cell.id = `${row.id}/${head.dataset.column}`;
    const link = element("a", undefined, { href: `#${cell.id}` });
    link.append(cell.firstChild);
    cell.prepend(link);
  }
}

// A table is taken over when it comes near the window, so that a page of ten thousand records opens at once.
function taken(table) {
  if (!made.has(table)) made.set(table, new DataTable(table, plain));
  return made.get(table);
}
const near = new IntersectionObserver((seen) => seen.filter((one) => one.isIntersecting).forEach((one) => {
  near.unobserve(one.target);
  taken(one.target.querySelector("table"));
}), { rootMargin: "50%" });
for (const table of [...tables, claims]) near.observe(table.closest(".wide"));
document.getElementById("claim-search").addEventListener("input", (event) => taken(claims).search(event.target.value).draw());

function chosen() {
  const fields = new FormData(form);
  const names = ["q", "benchmark", "symmetry", "group", "device", "from", "to"];
  return Object.fromEntries(names.map((name) => [name, fields.get(name)]).filter(([, value]) => value));
}

function fits(row, filter) {
  const { symmetry, group, device, parameters } = row.dataset;
  if (filter.symmetry && symmetry !== filter.symmetry) return false;
  if (filter.group && group !== filter.group) return false;
  if (filter.device && !device.split("\n").includes(filter.device)) return false;
  if (filter.from && !(parameters && Number(parameters) >= Number(filter.from))) return false;
  return !(filter.to && !(parameters && Number(parameters) <= Number(filter.to)));
}

function show() {
  const filter = chosen();
  const narrowed = Object.keys(filter).some((name) => name !== "benchmark");
  const part = document.getElementById("tables");
  part.hidden = true; // nothing is laid out while the tables change
  const found = tables.map((table) => {
    const board = taken(table);
    board.search.fixed("filters", (text, cells, place) => fits(board.row(place).node(), filter));
    board.search(filter.q ?? "").draw();
    return board.rows({ search: "applied" }).nodes().toArray();
  });
  let rows = 0, all = 0;
  tables.forEach((table, place) => {
    const left_out = filter.benchmark && table.dataset.benchmark !== filter.benchmark;
    if (narrowed || table.dataset.narrowed) rank(taken(table), found[place], narrowed);
    table.dataset.narrowed = narrowed ? "yes" : "";
    table.closest("section").hidden = left_out || found[place].length === 0;
    const entries = new Set(found[place].map((row) => row.dataset.entry));
    for (const chart of table.closest("section").querySelectorAll(".chart")) chart.hidden = !entries.has(chart.dataset.entry);
    rows += left_out ? 0 : found[place].length;
    all += taken(table).rows().count();
  });
  const filtered = Object.keys(filter).length > 0;
  for (const group of part.querySelectorAll(".purpose")) group.hidden = filtered && !group.querySelector("section.board:not([hidden])");
  for (const empty of part.querySelectorAll(".empty")) empty.hidden = filtered;
  part.hidden = false;
  document.getElementById("shown").textContent = `${rows} of ${all} rows`;
  return filter;
}

// The rank among the rows that are shown, with the true one in brackets.
function rank(board, found, narrowed) {
  const ranked = found.filter((row) => row.dataset.rank).sort((a, b) => a.dataset.rank - b.dataset.rank);
  const places = new Map(ranked.map((row, place) => [row, place + 1]));
  for (const row of board.rows().nodes().toArray()) {
    const cell = row.querySelector(".rank");
    cell.dataset.plain ??= cell.textContent;
    if (narrowed && places.has(row)) {
      cell.replaceChildren(`${places.get(row)} `, element("span", `(${cell.dataset.plain} of all)`, { class: "true-rank" }));
    } else {
      cell.textContent = cell.dataset.plain;
    }
  }
}

function columns() {
  for (const box of form.querySelectorAll("[name=column]")) {
    for (const table of tables) taken(table).columns(`[data-column="${box.value}"]`).visible(box.checked, false);
  }
  root.classList.toggle("intervals", form.elements.intervals.checked);
}

// Permalinks: `#BENCHMARK/ENTRY/METRIC` is a number, `#?symmetry=exact&q=p4` a filter.
function follow() {
  const hash = decodeURIComponent(location.hash.slice(1));
  if (hash.startsWith("?")) {
    const wanted = new URLSearchParams(hash.slice(1));
    for (const [name, value] of wanted) if (form.elements[name]) form.elements[name].value = value;
    show();
    return;
  }
  const target = hash && document.getElementById(hash);
  if (!target) return;
  if (target.closest("[hidden]")) { form.reset(); show(); }
  target.closest("details")?.setAttribute("open", "");
  const table = target.closest("table.leaderboard, table.claims");
  if (table) taken(table); // later, when it comes near the window, it would move what is looked at
  const number = target.matches("td[id]");
  target.scrollIntoView(number ? { block: "center" } : {});
  if (number) explain(hash);
}

form.addEventListener("input", (event) => {
  if (["column", "intervals"].includes(event.target.name)) { columns(); return; }
  const filter = new URLSearchParams(show()).toString();
  history.replaceState(null, "", filter ? `#?${filter}` : location.pathname + location.search);
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(() => { columns(); show(); history.replaceState(null, "", location.pathname + location.search); }));
addEventListener("hashchange", follow);
document.addEventListener("click", (event) => {
  const link = event.target.closest("td[id] > a");
  if (link && link.hash === location.hash) explain(decodeURIComponent(link.hash.slice(1)));
});

// What a number is made of. Behind it, and when it is closed, the number is in view.
dialog.addEventListener("close", () => document.getElementById(dialog.dataset.cell)?.scrollIntoView({ block: "center" }));
async function explain(name) {
  const [benchmark, entry, metric] = name.split("/");
  const { frame, lineage: { formulae, origins, verdicts, rows } } = await read();
  const row = rows[`${benchmark}/${entry}`];
  if (!row) return;
  const board = frame.find((one) => one.benchmark === benchmark);
  const shown = board.rows.find((one) => one.entry === row.entry && one.numeric_mode === row.numeric_mode);
  const { n, mean, std, ci95 } = shown.metrics[metric];
  const list = element("dl");
  const item = (term, text, attributes) => list.append(element("dt", term), element("dd", text, attributes));
  if (metric in row.formulae) item("metric", formulae[row.formulae[metric]]);
  item("mean", `m = Σ xᵢ / n = ${mean} with n = ${n} of ${board.protocol_seeds} seeds`);
  item("spread", std === null ? "none: one seed has no spread" : `s = √(Σ (xᵢ − m)² / (n − 1)) = ${std}`);
  if (ci95) item("95% interval", `m ± t(0.975, n − 1) · s / √n = [${ci95.join(", ")}]`);
  item("spec digest", shown.spec_digest, { class: "digest" });
  item("numeric mode", row.numeric_mode);
  const seeds = row.records.map((record) => record.seed);
  const entered = row.entry;
  const commands = [
    `gcnnbench explain ${row.benchmark} ${entered} ${metric}`,
    `gcnnbench verify records --benchmark ${row.benchmark} --entry ${entered} --data DIR`,
  ];
  if (!row.superseded) commands.push(`gcnnbench run ${row.benchmark} --entry ${entered} --seeds ${seeds.join(",")} --results again`);
  const head = element("h2", `${benchmark} ${entry} ${metric}`, { id: "explained" });
  const close = element("button", "Close", { type: "button", autofocus: "" });
  close.addEventListener("click", () => dialog.close());
  const parts = [close, head, list, records(row, shown.records, metric), element("h3", "Code and machine"), ...sources(row, origins)];
  if (Object.keys(row.claims[metric] ?? {}).length) parts.push(element("h3", "Claims about it"), about(row.claims[metric], verdicts));
  parts.push(element("h3", "To check it, and to make it again"), element("pre", commands.join("\n")));
  dialog.replaceChildren(...parts);
  dialog.dataset.cell = name;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

function records(row, digests, metric) {
  const table = element("table", undefined, { class: "plain" });
  const head = element("tr");
  for (const name of ["seed", "counts", "value", "record, its sha256 and that of the weights"]) head.append(element("th", name, { scope: "col" }));
  table.append(element("thead"), element("tbody"));
  table.tHead.append(head);
  for (const [place, record] of row.records.entries()) {
    const line = element("tr");
    const counts = record.counts[metric];
    const value = counts ? counts[0] / counts[1] : record.values[metric];
    const files = element("td");
    files.append(record.path, element("div", digests[place], { class: "digest" }), element("div", `weights of epoch ${record.tested_epoch}: ${record.weights}`, { class: "digest" }));
    line.append(element("th", record.seed, { scope: "row" }), element("td", counts ? counts.map((count) => count.toLocaleString("en")).join(" / ") : "–"), element("td", value), files);
    table.tBodies[0].append(line);
  }
  const wide = element("div", undefined, { class: "wide", tabindex: "0", role: "region", "aria-label": "Records" });
  wide.append(table);
  return wide;
}

function sources(row, origins) {
  return [...new Set(row.records.map((record) => record.origin))].map((place) => {
    const here = row.records.filter((record) => record.origin === place);
    const seeds = here.map((record) => record.seed).join(", ");
    const times = `${here.map((record) => record.from).sort()[0]} to ${here.map((record) => record.to).sort().at(-1)}`;
    return element("p", `Seed ${seeds}: ${origins[place]}; ${times}`);
  });
}

function about(claims, verdicts) {
  const list = element("ul");
  for (const [name, place] of Object.entries(claims)) {
    const line = element("li");
    const link = element("a", name, { href: `#${name}` });
    link.addEventListener("click", () => dialog.close());
    line.append(link, `: ${verdicts[place]}`);
    list.append(line);
  }
  return list;
}

// Charts: the slider and the pointer choose a place; its values stand beside the slider.
const charts = Array.from(document.querySelectorAll(".chart"));
for (const chart of charts) {
  const name = chart.querySelector("svg").getAttribute("aria-label");
  const label = element("label");
  const value = element("span", "point at the chart or move the slider", { class: "value" });
  label.append(value, " ", element("input", undefined, { type: "range", min: 0, max: 0, value: 0, "aria-label": name }));
  chart.append(label);
}
async function choose(chart, choice) {
  const { axes, charts: told } = (await read()).readings;
  const { axes: number, lines } = told[charts.indexOf(chart)];
  const { xs, places } = axes[number];
  const place = choice(xs);
  const slider = chart.querySelector("input");
  const values = Array.from(chart.querySelectorAll(".key"), (key, line) => `${key.textContent}: ${lines[line][place]}`);
  const text = [places[place], ...values].join("; ");
  let cursor = chart.querySelector(".cursor");
  if (!cursor) {
    cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
    cursor.setAttribute("class", "cursor");
    chart.querySelector("svg").append(cursor);
  }
  cursor.setAttribute("d", `M${xs[place]} 20v312`);
  slider.max = xs.length - 1;
  slider.value = place;
  slider.setAttribute("aria-valuetext", text);
  chart.querySelector(".value").textContent = text;
}
document.addEventListener("input", (event) => {
  const chart = event.target.closest(".chart");
  if (chart) choose(chart, () => Number(event.target.value));
});
document.addEventListener("focusin", (event) => {
  const chart = event.target.closest(".chart");
  if (chart) choose(chart, () => Number(event.target.value));
});
document.addEventListener("pointermove", (event) => {
  const drawing = event.target.closest?.(".chart svg");
  if (!drawing) return;
  const box = drawing.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * drawing.viewBox.baseVal.width;
  choose(drawing.closest(".chart"), (xs) => {
    const far = xs.map((place) => Math.abs(place - x));
    return far.indexOf(Math.min(...far));
  });
});

// Downloads are inflated at the first click.
const csv = document.getElementById("csv");
const packed = csv.href.split(",")[1];
csv.download = csv.textContent = "leaderboard.csv";
function offer(link, text) {
  link.addEventListener("click", async (event) => {
    if (link.protocol === "blob:") return;
    event.preventDefault();
    link.href = URL.createObjectURL(new Blob([await text()]));
    link.click();
  });
}
offer(csv, () => inflated(packed).text());
offer(document.getElementById("json"), async () => JSON.stringify((await read()).frame));

if (Object.keys(chosen()).length) show();
follow();
