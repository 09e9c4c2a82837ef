// SPDX-License-Identifier: MIT
// anywidget gives a widget's module two seconds to load, and after that drops all that its kernel
// says. Plotly's has five megabytes, which takes a slow machine longer. So this one is the
// widget's: it loads Plotly's beside it, once a page, and keeps what is said meanwhile.

const SAID = [
  "addTraces", "deleteTraces", "moveTraces", "restyle", "relayout", "update", "animate",
  "removeLayoutProps", "removeTraceProps",
].map((name) => `_py2js_${name}`);

async function load(text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    return await import(address);
  } catch (error) {
    delete window.labkitPlotly; // the next figure tries again
    throw error;
  } finally {
    URL.revokeObjectURL(address);
  }
}

function plotly(model) {
  window.labkitPlotly ??= load(model.get("_bundle"));
  return window.labkitPlotly;
}

// The model as Plotly sees it, to which things can be said again.
function repeating(model) {
  const listeners = [];
  let again = null;
  return {
    get: (name) => (again?.name === name ? again.value : model.get(name)),
    set: (name, value) => model.set(name, value),
    save_changes: () => model.save_changes(),
    on(event, listener) {
      listeners.push({ event, listener });
      model.on(event, listener);
    },
    say(said) {
      again = said;
      for (const { event, listener } of listeners)
        if (event === `change:${said.name}`) listener();
      again = null;
    },
  };
}

// What is said of the model from now on, until `heard` takes it.
function keep(model) {
  const kept = [];
  const keepers = SAID.map((name) => {
    const keeper = () => {
      if (model.get(name) !== null) kept.push({ name, value: model.get(name) });
    };
    model.on(`change:${name}`, keeper);
    return [`change:${name}`, keeper];
  });
  return function heard() {
    for (const [event, keeper] of keepers) model.off(event, keeper);
    return kept.splice(0);
  };
}

export default () => {
  let figure;
  return {
    initialize({ model }) {
      const heard = keep(model);
      const seen = repeating(model);
      figure = plotly(model).then((module) => {
        const made = module.default();
        made.initialize({ model: seen });
        return { made, seen, heard };
      });
    },
    async render({ el }) {
      const { made, seen, heard } = await figure;
      const end = made.render({ el });
      heard().forEach(seen.say);
      return end;
    },
  };
};
