// SPDX-License-Identifier: MIT
// The page's part of labkit.panels.Races: shows what Python says, and asks for the next step.

const WALK = "Arrow right and left: one step forward and back. Home and End: first and last step.";
const CHOOSE = " 1 to 9: choose which task goes next. C: to the next choice. R: let the dice choose. " +
  "S: the shortest way to a fault. In the drawing a step is 1 µs long.";

// Milliseconds after which it is said that Python has not answered.
const PATIENCE_MS = 1000;

function render({ model, el }) {
  const stop = new AbortController();
  const on = (node, kind, f, more = {}) => node.addEventListener(kind, f, { signal: stop.signal, ...more });
  const hide = make("style");
  hide.textContent = `[data-labkit-static="${model.get("static_id")}"]{display:none}`;

  const setting = make("div", { class: "lr-bar", role: "group", "aria-label": "The model" });
  const ways = make("div", { class: "lr-bar", role: "toolbar", "aria-label": "Steps" });
  const tasks = make("div", { class: "lr-tasks" });
  const choices = make("div", { class: "lr-choices" });
  const table = make("div", { class: "lr-table" });
  const heading = (text) => make("h4", {}, text);
  const next = heading("What may happen next");
  const keys = WALK + (model.get("options").model ? CHOOSE : "");
  const view = make("div", {
    class: "lr-view", tabindex: "0", role: "application",
    "aria-roledescription": "protocol", "aria-label": `The protocol step by step. ${keys}`,
  }, make("div", {}, heading("Tasks"), tasks), make("div", {}, next, choices), make("div", {}, heading("Event table"), table));
  const said = make("div", { class: "lr-said", role: "status", "aria-live": "polite" });
  const broken = make("div", { class: "lr-broken", role: "alert" });
  const drawing = make("div", { class: "lr-drawing" });
  const help = make("div", { class: "lr-help" }, keys);
  el.append(make("div", { class: "lr" }, hide, setting, ways, said, broken, view, drawing, help));

  // One request at a time: what a key means (back from where, which first choice) is only known when
  // the answer to the one before is here. Until then it waits in `asked`.
  const asked = [], viewer = Math.random().toString(36).slice(2);
  let requests = 0, awaited = "", late;
  function send(message, meanwhile = "No answer yet: Python is busy, or has ended.") {
    awaited = `${viewer}-${++requests}`;
    late = setTimeout(() => { said.textContent = meanwhile; }, PATIENCE_MS);
    model.send({ ...message, id: awaited });
  }
  function ask(act) {
    asked.push(act);
    goOn();
  }
  function goOn() {
    while (!awaited && asked.length) asked.shift()();
  }
  const buttons = {}, press = {};
  let before = []; // the words of the tasks, to mark what a step has changed

  function field(name, text, attributes) {
    const input = make("input", { type: "number", "data-field": name, "aria-label": text, ...attributes });
    return [make("label", {}, `${text} `, input), input];
  }

  const [countLabel, count] = field("count", "steps", { min: 1, max: 1000, value: 20 });
  const [seedLabel, seed] = field("seed", "seed", { min: 0, value: 1 });
  const number = (input, least) => Math.max(least, Math.trunc(Number(input.value)) || least);

  const WAYS = [
    ["start", "First", () => send({ do: "go", at: 0 })],
    ["back", "◀ Back", () => send({ do: "go", at: model.get("shown").at - 1 })],
    ["forward", "Forward ▶", forward],
    ["end", "Last", () => send({ do: "go", at: model.get("shown").length })],
    ["on", "To the next choice", () => send({ do: "on" })],
    ["wander", "Let the dice choose", () => send({ do: "wander", count: number(count, 1), seed: number(seed, 0) })],
    ["seek", "Shortest way to a fault", () => { said.textContent = "Looking…"; send({ do: "seek" }, "Looking…"); }],
  ];
  // Forward is the way that one came from; where it is new and there is but one step, that one.
  function forward() {
    const now = model.get("shown");
    if (now.at < now.length) send({ do: "go", at: now.at + 1 });
    else if (now.choices.length === 1) send({ do: "choose", number: 0 });
  }
  function choose(number) {
    if (number < model.get("shown").choices.length) send({ do: "choose", number });
  }
  const where = make("span", { class: "lr-where lr-quiet" });
  for (const [what, text, act] of WAYS) {
    buttons[what] = make("button", { type: "button", "data-do": what }, text);
    press[what] = () => ask(() => { if (!buttons[what].disabled) act(); });
    on(buttons[what], "click", press[what]);
  }

  function onOptions() {
    const options = model.get("options");
    setting.replaceChildren();
    ways.replaceChildren(buttons.start, buttons.back, buttons.forward, buttons.end, where);
    if (!options.model) {
      setting.append(make("span", {}, `A trace, series ${options.series}: the kernel chose.`));
      return;
    }
    ways.append(buttons.on, buttons.wander, countLabel, seedLabel, buttons.seek);
    const [serversLabel, servers] = field("servers", "servers", { min: 1, max: options.most[0], value: options.servers });
    const [workersLabel, workers] = field("workers", "workers", { min: 0, max: options.most[1], value: options.workers });
    const fault = make("select", { "data-field": "fault", "aria-label": "Fault" });
    for (const [name, text] of Object.entries(options.faults))
      fault.append(make("option", { value: name }, name && name !== "?" ? `${name}: ${text}` : text));
    fault.value = options.fault;
    const again = make("button", { type: "button", "data-do": "new" }, "Begin anew");
    const anew = () => ask(() => send({ do: "new", servers: Number(servers.value), workers: Number(workers.value), fault: fault.value }));
    on(again, "click", anew);
    on(fault, "change", anew);
    setting.append(serversLabel, workersLabel, make("label", {}, "fault ", fault), again);
  }

  function tasksTable(now) {
    const words = now.actors.map((a) => [a.state, a.flags, a.next].join());
    const row = (a, i) => {
      const state = a.flags ? `${a.state}, ${a.flags}` : a.state;
      const then = a.then.length ? make("div", { class: "lr-then" }, `then: ${a.then.join("; ")}`) : "";
      return make("tr", before.length && words[i] !== before[i] ? { class: "lr-new" } : {},
        make("td", {}, a.name), make("td", { class: "lr-state" }, state), make("td", {}, a.next || "–"),
        make("td", {}, a.where, then));
    };
    const model_ = model.get("options").model;
    const head = make("tr", {}, ...["task", "word", "next_tid", model_ ? "its thread is" : ""].map((t) => make("th", {}, t)));
    const body = now.actors.map(row);
    before = words;
    const list = now.list.length ? now.list.join(", ") : "empty";
    tasks.replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)),
      make("div", { class: "lr-lists" }, make("b", {}, model_ ? "Idle list: " : "Woken, not run since: "), list,
        make("br"), make("b", {}, "Slot for an idle server: "), now.slot));
  }

  function onShown() {
    const now = model.get("shown");
    const inside = choices.contains(document.activeElement);
    tasksTable(now);
    next.textContent = now.choices.length > 1 ? `What may happen next (${now.choices.length})` : "What happens next";
    choices.replaceChildren(...now.choices.map((c, i) => {
      const key = i < 9 && model.get("options").model ? make("kbd", {}, `${i + 1}`) : "";
      const button = make("button", { type: "button", title: c.text, "aria-description": c.text }, key, make("b", {}, c.actor), `: ${c.label}`);
      // A choice that another request has replaced meanwhile is not what was meant.
      on(button, "click", () => ask(() => { if (button.isConnected) choose(i); }));
      return button;
    }));
    if (!now.choices.length) choices.append(make("div", { class: "lr-quiet" }, "Nothing: this is the end."));
    // The button that was pressed is gone: the keys go on to work.
    if (inside) view.focus();
    said.textContent = [now.note, now.said].filter(Boolean).join(" ");
    broken.textContent = now.broken.join(" ");
    where.textContent = now.at === now.length ? `step ${now.at}` : `step ${now.at} of ${now.length}`;
    buttons.start.disabled = buttons.back.disabled = now.at === 0;
    buttons.end.disabled = now.at === now.length;
    buttons.forward.disabled = now.at === now.length && now.choices.length !== 1;
    const line = (cells, tag) => make("tr", {}, ...cells.map((text) => make(tag, {}, text)));
    table.replaceChildren(make("table", {}, make("thead", {}, line(now.table.columns, "th")),
      make("tbody", {}, ...now.table.rows.map((cells) => line(cells, "td")))));
    table.querySelector("tbody tr:last-child")?.setAttribute("aria-current", "true");
    if (now.table.more) table.prepend(make("div", { class: "lr-quiet" }, `${now.table.more} events before these`));
    // The drawing is Python's own, made of escaped text; it is parsed, never run.
    const parsed = now.svg && new DOMParser().parseFromString(now.svg, "image/svg+xml").documentElement;
    drawing.replaceChildren(...(parsed ? [document.importNode(parsed, true)] : []));
    if (now.answers === awaited) {
      clearTimeout(late);
      awaited = "";
    }
    goOn();
  }

  const KEYS = {
    ArrowRight: "forward", ArrowLeft: "back", Home: "start", End: "end",
    c: "on", C: "on", r: "wander", R: "wander", s: "seek", S: "seek",
  };
  // JupyterLab listens before the view could: to its cells a plain letter is a command (D, D deletes).
  on(window, "keydown", (event) => {
    if (!view.contains(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
    const choice = /^[1-9]$/.test(event.key), way = KEYS[event.key];
    if (choice || way || (event.key.length === 1 && event.key !== " ")) event.stopImmediatePropagation();
    if (!choice && !buttons[way]?.isConnected) return;
    event.preventDefault();
    if (event.repeat && awaited) return; // a key held down goes as fast as the answers
    if (choice) ask(() => choose(event.key - 1));
    else press[way]();
  }, { capture: true });

  const watched = [["change:options", onOptions], ["change:shown", onShown]];
  onOptions();
  onShown();
  for (const [what, f] of watched) model.on(what, f);
  return () => {
    for (const [what, f] of watched) model.off(what, f);
    stop.abort();
    clearTimeout(late);
  };
}

export default { render };
