# SPDX-License-Identifier: MIT
"""A widget's page part joined to its Python part, without Jupyter between them."""

#: What anywidget gives to a page part, with `toPython` for its connection.
MODEL = """
async ([code, css, state]) => {
  const decode = (s) => new DataView(Uint8Array.from(atob(s), (c) => c.charCodeAt(0)).buffer);
  const model = {
    state: {}, heard: {}, sent: [], held: null,
    get(name) { return this.state[name]; },
    on(what, f) { (this.heard[what] ??= new Set()).add(f); },
    off(what, f) { this.heard[what].delete(f); },
    take(text) {
      const next = JSON.parse(text);
      if (typeof next.shares === "string") next.shares = decode(next.shares);
      const old = this.state;
      this.state = next;
      for (const name of Object.keys(next))
        if (JSON.stringify(old[name]) !== JSON.stringify(next[name]) || name === "shares")
          for (const f of this.heard["change:" + name] ?? []) f();
    },
    async send(message) {
      this.sent.push(message);
      if (this.held) await this.held;
      this.take(await window.toPython(JSON.stringify(message)));
      for (const [content, buffer] of await (window.fromPython?.() ?? []))
        for (const f of this.heard["msg:custom"] ?? []) f(content, [decode(buffer)]);
    },
  };
  window.model = model;
  model.take(state);
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const part = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const el = document.body.appendChild(document.createElement("div"));
  window.cleanup = part.default.render({ model, el });
}
"""
