// SPDX-License-Identifier: MIT
// Hands a trace over to ui.perfetto.dev, which opens in a window of its own and keeps it in that browser
// (Perfetto's documentation, "Deep linking to the Perfetto UI"). `say` is told how it goes.
const PERFETTO = "https://ui.perfetto.dev";
function openInPerfetto(buffer, title, say, other = window.open(PERFETTO)) {
  const place = PERFETTO;
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([buffer], { type: "application/octet-stream" }));
    link.download = `${title}.pftrace`;
    link.click();
  };
  if (!other) {
    save();
    say("The browser let no window open; the trace was saved instead: open it at ui.perfetto.dev.");
    return;
  }
  let tries = 0;
  // It answers a PING once it can take a trace.
  const ask = setInterval(() => {
    tries += 1;
    if (tries > 60 || other.closed) {
      end();
      save();
      say("ui.perfetto.dev did not answer; the trace was saved instead, to be opened there later.");
      return;
    }
    other.postMessage("PING", place);
  }, 250);
  const heard = (event) => {
    if (event.origin !== place || event.data !== "PONG") return;
    end();
    other.postMessage({ perfetto: { buffer, title, keepApiOpen: false } }, place);
    say("The trace is in the window of ui.perfetto.dev.");
  };
  const end = () => {
    clearInterval(ask);
    window.removeEventListener("message", heard);
  };
  window.addEventListener("message", heard);
  say("Waiting for ui.perfetto.dev…");
}
