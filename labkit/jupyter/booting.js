// SPDX-License-Identifier: MIT
// JupyterLab's part of the kernel Python (UMCG): a notice while a microVM boots. The server sends
// events (labkit/jupyter/announce.py); JupyterLab has the stream of them and the notices.
"use strict";

(() => {
  const SCHEMA = "urn:labkit:kernel-start";
  const TYPES = { waiting: "in-progress", ready: "success", failed: "error" };

  function activate(app) {
    const notices = new Map(); // by kernel; a promise, as making one takes a moment
    app.serviceManager.events.stream.connect(async (_, event) => {
      if (event.schema_id !== SCHEMA) return;
      const { kernel_id: kernel, state, text: message } = event;
      const type = TYPES[state];
      const options = { autoClose: state === "ready" ? 10000 : false };
      const known = notices.get(kernel);
      if (state !== "waiting") notices.delete(kernel);
      if (known) {
        const id = await known;
        app.commands.execute("apputils:update-notification", { id, message, type, ...options });
      } else {
        const made = app.commands.execute("apputils:notify", { message, type, options });
        if (state === "waiting") notices.set(kernel, made);
        // A page that is still opening has no notices yet; the next event comes in two seconds.
        made.catch(() => notices.delete(kernel));
      }
    });
  }

  const plugin = { id: "labkit:booting", autoStart: true, activate };
  const all = (globalThis._JUPYTERLAB ??= {});
  all.labkit = {
    init() {},
    async get() {
      return () => ({ __esModule: true, default: plugin });
    },
  };
})();
