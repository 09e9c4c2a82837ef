// SPDX-License-Identifier: MIT
// The page's part of labkit.panels.Timeline: shows the drawing that Python made, asks for
// another window, and until that is there moves the one it has. Times are ns since the series began.

const HELP = "Arrow keys pan, + and − zoom, Home shows the whole, N and P go from event to event, " +
  "Escape leaves the event. Drag to zoom into a range, Ctrl + wheel zooms, Shift + drag pans, " +
  "Alt + drag measures a stretch. A click on a task's name puts its lane on top.";
const BUTTONS = [
  ["in", "+", "Zoom in"], ["out", "−", "Zoom out"], ["left", "◀", "Earlier"],
  ["right", "▶", "Later"], ["whole", "Whole", "Show the whole series"],
  ["previous", "‹ event", "Previous event"], ["next", "event ›", "Next event"],
  ["perfetto", "Perfetto", "Open at ui.perfetto.dev"],
];
const KEYS = {
  ArrowLeft: "left", ArrowRight: "right", "+": "in", "=": "in", "-": "out", "−": "out",
  Home: "whole", 0: "whole", n: "next", N: "next", p: "previous", P: "previous", Escape: "leave",
};
const SHORTEST = 20;

function render({ model, el }) {
  const stop = new AbortController();
  const on = (node, kind, f, more = {}) =>
    node.addEventListener(kind, f, { signal: stop.signal, ...more });
  // The picture for pages without a kernel is not needed beside the living one.
  const hide = make("style");
  const still = `[data-labkit-static="${model.get("static_id")}"]`;
  // A figure of Plotly is in the output after it, which JupyterLab draws without our mark.
  hide.textContent = `${still}, .jp-OutputArea-child:has(${still}) + .jp-OutputArea-child:has(.js-plotly-plot) {display:none}`;

  const series = make("select", { class: "lk-series", "aria-label": "Series" });
  const bar = make("div", { class: "lk-bar", role: "toolbar", "aria-label": "Timeline" }, series);
  for (const [what, text, label] of BUTTONS) {
    const button = make("button", { type: "button", "data-do": what, title: label, "aria-label": label }, text);
    on(button, "click", () => act(what));
    bar.append(button);
  }
  const find = make("input", { type: "search", class: "lk-find", "data-lm-suppress-shortcuts": "true", placeholder: "Find an event…",
    "aria-label": "Find an event by kind, state or task; Enter finds the next, Shift + Enter the one before" });
  bar.append(find);
  const stretch = make("div", { class: "lk-row lk-stretch", role: "status", "aria-live": "polite" });
  const notice = make("div", { class: "lk-notice" });
  const sheet = make("div", { class: "lk-sheet" });
  const band = make("div", { class: "lk-band" });
  const tip = make("div", { class: "lk-tip", role: "tooltip" });
  const view = make("div", {
    class: "lk-view", tabindex: "0", role: "application", "aria-roledescription": "timeline",
  }, sheet, band, tip);
  const help = make("div", { class: "lk-help" }, HELP);
  const problem = make("div", { class: "lk-problem", role: "alert" });
  const row = make("div", { class: "lk-row", role: "status", "aria-live": "polite" });
  const caption = make("div", { class: "lk-caption" });
  const all = make("div", { class: "lk" }, hide, bar, notice, view, help, problem, stretch, row, caption);
  el.append(all);

  let drawn = null; // what Python drew last
  let want = null; // what shall be seen
  let sent = null; // what was asked for last
  let asked = 0, waiting = false;
  let drag = null, perfetto = null;

  const send = (message) => model.send(message);

  // One question at a time: a slow kernel is asked for what is wanted when it has time.
  function ask() {
    if (waiting || !want) return;
    waiting = true;
    asked += 1;
    sent = want;
    send({ do: "window", t0: want[0], t1: want[1], asked, pixels: Math.round(view.clientWidth) || drawn.width });
  }

  function go(t0, t1) {
    if (!drawn) return;
    const span = Math.min(Math.max(t1 - t0, SHORTEST), drawn.length);
    const begin = Math.min(Math.max((t0 + t1 - span) / 2, 0), drawn.length - span);
    want = [begin, begin + span];
    preview();
    ask();
  }

  function zoom(factor, about = (want[0] + want[1]) / 2) {
    go(about - (about - want[0]) * factor, about + (want[1] - about) * factor);
  }

  function act(what) {
    if (!drawn) return;
    const span = want[1] - want[0];
    const middle = model.get("selected").t;
    const about = middle >= want[0] && middle <= want[1] ? middle : undefined;
    if (what === "in") zoom(0.5, about);
    else if (what === "out") zoom(2, about);
    else if (what === "left") go(want[0] - span / 4, want[1] - span / 4);
    else if (what === "right") go(want[0] + span / 4, want[1] + span / 4);
    else if (what === "whole") go(0, drawn.length);
    else if (what === "next") send({ do: "step", by: 1 });
    else if (what === "previous") send({ do: "step", by: -1 });
    else if (what === "leave") { send({ do: "select", row: null }); send({ do: "forget" }); }
    else if (what === "perfetto") {
      // A window may open only while a press of a button is fresh; the trace comes later.
      perfetto = window.open(PERFETTO);
      problem.textContent = "Making the trace…";
      send({ do: "perfetto" });
    }
  }

  function preview() {
    const plot = sheet.querySelector(".lk-plot");
    if (!plot) return;
    const wide = drawn.right - drawn.left;
    const scale = (drawn.t1 - drawn.t0) / (want[1] - want[0]);
    const shift = ((drawn.t0 - want[0]) / (want[1] - want[0])) * wide;
    plot.setAttribute("transform", `translate(${drawn.left * (1 - scale) + shift} 0) scale(${scale} 1)`);
  }

  function onDrawing() {
    const before = drawn?.key;
    drawn = model.get("drawing");
    all.classList.toggle("lk-empty", !drawn.svg);
    if (!drawn.svg) {
      drawn = want = sent = null;
      waiting = false;
      sheet.replaceChildren();
      return;
    }
    // The drawing is Python's own, made of escaped text; it is parsed, never run.
    const parsed = new DOMParser().parseFromString(drawn.svg, "image/svg+xml").documentElement;
    sheet.replaceChildren(document.importNode(parsed, true));
    notice.textContent = drawn.notice;
    if (drawn.key !== before || drawn.asked === asked) waiting = false;
    if (drawn.key === before && want && want !== sent) {
      // The reader has moved on meanwhile.
      preview();
      ask();
    } else if (waiting) preview();
    else want = sent = [drawn.t0, drawn.t1];
    label();
    onSelected();
  }

  function label() {
    const time = (t) => `${(t / drawn.size).toFixed(3)} ${drawn.unit}`;
    view.setAttribute("aria-label", `Timeline of series ${model.get("series")}, ${drawn.lanes.length} tasks, ` +
      `from ${time(drawn.t0)} to ${time(drawn.t1)}. ${drawn.notice} ${HELP}`);
  }

  function onSelected() {
    if (!drawn) return;
    const selected = model.get("selected");
    const plot = sheet.querySelector(".lk-plot");
    sheet.querySelectorAll(".lk-chosen, .lk-at").forEach((n) => {
      if (n.classList.contains("lk-at")) n.remove();
      else n.classList.remove("lk-chosen");
    });
    if (!plot || selected.t === undefined) return;
    plot.querySelectorAll(`[data-r="${selected.row}"]`).forEach((n) => n.classList.add("lk-chosen"));
    const x = drawn.left + ((selected.t - drawn.t0) / (drawn.t1 - drawn.t0)) * (drawn.right - drawn.left);
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("class", "lk-at");
    line.setAttribute("d", `M${x} ${drawn.head}V${drawn.top + drawn.lane * drawn.lanes.length}`);
    plot.append(line);
  }

  const line = (cells, tag) => make("tr", {}, ...cells.map((text) => make(tag, {}, text)));

  function onStretch() {
    const is = model.get("stretch");
    stretch.replaceChildren();
    if (!is?.rows) return;
    const body = make("tbody", {}, ...is.rows.map((cells) => line(cells, "td")));
    stretch.append(make("table", {}, make("caption", {}, `The stretch of ${is.said}`), make("thead", {}, line(is.columns, "th")), body));
  }

  function onCustom(message, buffers) {
    if (!message?.perfetto) return;
    const view = buffers[0];
    const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
    openInPerfetto(bytes, message.perfetto, (text) => { problem.textContent = text; }, perfetto);
  }

  function onTable() {
    const table = model.get("table");
    row.replaceChildren();
    if (!table.rows) return;
    const body = make("tbody", {}, ...table.rows.map((cells) => line(cells, "td")));
    const chosen = body.children[table.at];
    chosen.classList.add("lk-chosen");
    chosen.setAttribute("aria-current", "true");
    const head = make("thead", {}, line(table.columns, "th"));
    row.append(make("table", {}, make("caption", {}, "The event and those around it"), head, body));
  }

  function onSeries() {
    const names = model.get("all_series");
    series.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
    series.value = model.get("series");
    if (drawn) label();
  }

  const onText = () => {
    problem.textContent = model.get("problem");
    if (problem.textContent) waiting = false;
    caption.textContent = model.get("caption");
  };

  // Places on the page to times and lanes.
  function place(event) {
    const svg = sheet.firstElementChild;
    if (!drawn || !svg) return null;
    const box = svg.getBoundingClientRect();
    const zoomed = box.width / drawn.width;
    const x = (event.clientX - box.left) / zoomed, y = (event.clientY - box.top) / zoomed;
    const share = (x - drawn.left) / (drawn.right - drawn.left);
    return { x, y, zoomed, share, t: want[0] + share * (want[1] - want[0]), lane: Math.floor((y - drawn.top) / drawn.lane) };
  }

  function words(event) {
    const shape = event.target.closest?.("rect, path");
    const title = shape?.querySelector("title");
    // The browser would show its own tip as well.
    if (title) { shape.dataset.t = title.textContent; title.remove(); }
    if (shape?.dataset.t) return shape.dataset.t;
    const at = place(event);
    const shares = model.get("shares");
    if (!at || !shares?.byteLength || at.share < 0 || at.share >= 1) return "";
    if (at.lane < 0 || at.lane >= drawn.lanes.length) return "";
    const bin = Math.floor(at.share * drawn.bins), nr = drawn.places.length;
    const cell = (at.lane * drawn.bins + bin) * nr;
    const parts = drawn.places.map((p, i) => [p, shares.getUint8(cell + i)]).filter(([, n]) => n);
    return `${drawn.lanes[at.lane]} around ${(at.t / drawn.size).toFixed(3)} ${drawn.unit}: ` +
      (parts.map(([p, n]) => `${p} ${n} %`).join(", ") || "not there");
  }

  on(view, "pointermove", (event) => {
    if (drag) return dragged(event);
    const text = words(event);
    tip.textContent = text;
    tip.style.display = text ? "block" : "none";
    const box = view.getBoundingClientRect();
    const x = event.clientX - box.left;
    tip.style.left = `${Math.max(0, Math.min(x + 12, box.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${event.clientY - box.top + 16}px`;
  });
  on(view, "pointerleave", () => { tip.style.display = "none"; });

  on(view, "pointerdown", (event) => {
    const at = place(event);
    if (event.button !== 0 || !at) return;
    drag = { from: event.clientX, at, pan: event.shiftKey, measure: event.altKey, want: [...want], shape: event.target };
    view.setPointerCapture(event.pointerId);
    tip.style.display = "none";
  });

  function dragged(event) {
    const at = place(event);
    if (!at) return;
    if (drag.pan) {
      const by = (at.share - drag.at.share) * (drag.want[1] - drag.want[0]);
      go(drag.want[0] - by, drag.want[1] - by);
      return;
    }
    const edge = view.getBoundingClientRect().left;
    const [a, b] = [drag.from, event.clientX].sort((p, q) => p - q);
    band.style.display = b - a > 3 ? "block" : "none";
    band.style.left = `${a - edge}px`;
    band.style.width = `${b - a}px`;
  }

  on(view, "pointerup", (event) => {
    const was = drag, at = place(event);
    drag = null;
    band.style.display = "none";
    if (!was || !at) return;
    if (Math.abs(event.clientX - was.from) > 3) {
      if (was.measure) send({ do: "measure", t0: was.at.t, t1: at.t });
      else if (!was.pan) go(...[was.at.t, at.t].sort((p, q) => p - q));
      return;
    }
    if (at.share < 0 && at.lane >= 0 && at.lane < drawn.lanes.length) return send({ do: "pin", lane: at.lane });
    const row = was.shape.closest?.("[data-r]")?.dataset.r;
    if (row !== undefined && row !== "-1") send({ do: "select", row: Number(row) });
    else if (model.get("selected").row !== undefined) act("leave");
  });
  on(view, "pointercancel", () => { drag = null; band.style.display = "none"; });
  on(view, "dblclick", () => act("whole"));

  on(view, "wheel", (event) => {
    const at = place(event);
    // The page keeps its own wheel: zoom with Ctrl, pan with a sideways wheel.
    if (!at || !(event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))) return;
    event.preventDefault();
    if (event.ctrlKey) zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 200))), at.t);
    else {
      const by = (event.deltaX / (view.clientWidth || 1)) * (want[1] - want[0]);
      go(want[0] + by, want[1] + by);
    }
  }, { passive: false });

  // JupyterLab listens before the view could: to its cells a plain letter is a command (D, D deletes).
  on(window, "keydown", (event) => {
    if (!view.contains(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
    const known = event.key in KEYS;
    if (known || event.key.length === 1) event.stopImmediatePropagation();
    if (!known) return;
    event.preventDefault();
    act(KEYS[event.key]);
  }, { capture: true });
  on(find, "keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter" && find.value) send({ do: "find", text: find.value, back: event.shiftKey });
  });
  on(series, "change", () => send({ do: "series", series: series.value }));

  // Draw for the width there is, once it has settled.
  let timer = 0;
  const sizes = new ResizeObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (drawn && view.clientWidth && Math.abs(view.clientWidth - drawn.width) > 20) ask();
    }, 250);
  });
  sizes.observe(view);

  const watched = [
    ["change:drawing", onDrawing], ["change:selected", onSelected], ["change:table", onTable],
    ["change:series", onSeries], ["change:all_series", onSeries], ["change:problem", onText],
    ["change:caption", onText], ["change:stretch", onStretch], ["msg:custom", onCustom],
  ];
  onSeries();
  onDrawing();
  onTable();
  onStretch();
  onText();
  for (const [what, f] of watched) model.on(what, f);
  return () => {
    for (const [what, f] of watched) model.off(what, f);
    sizes.disconnect();
    clearTimeout(timer);
    stop.abort();
  };
}

export default { render };
