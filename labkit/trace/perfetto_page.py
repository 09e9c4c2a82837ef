# SPDX-License-Identifier: MIT
"""A button that opens a run at ui.perfetto.dev: in a notebook's cell, or as a page of its own.

The trace goes from this page to that window within the browser; no server of ours is needed, and
nothing is sent over the network but what loads ui.perfetto.dev itself.
"""

from __future__ import annotations

import base64
import json
import tempfile
import webbrowser
from html import escape
from pathlib import Path
from uuid import uuid4

from labkit.progress import in_notebook
from labkit.records import Record
from labkit.trace.errors import WriteFailed

#: What a notebook may have in one cell without becoming hard to save, bytes of the trace.
MOST_IN_A_CELL = 20_000_000


#: What hands a trace over, in the browser.
SCRIPT = Path(__file__).with_name("perfetto.js")


def fragment(record: Record) -> str:
    """HTML with the trace inside and a button that hands it over."""
    # Its protocol takes as long to load as all that shows a timeline.
    from labkit.trace import perfetto

    name = f"labkit-{uuid4().hex[:12]}"
    trace = base64.b64encode(perfetto.to_bytes(record)).decode()
    script = SCRIPT.read_text(encoding="utf-8")
    title = json.dumps(record.experiment).replace("<", "\\u003c")
    return (
        f'<p id="{name}"><button type="button">Open {escape(record.experiment)} in '
        f'ui.perfetto.dev</button> <span role="status"></span></p><script>(() => {{\n{script}\n'
        f'const here = document.getElementById("{name}");\n'
        f'const bytes = Uint8Array.from(atob("{trace}"), (c) => c.charCodeAt(0));\n'
        'here.querySelector("button").onclick = () => openInPerfetto(bytes.buffer.slice(0), '
        f"{title}, (text) => {{ here.querySelector('span').textContent = text; }});\n"
        "})();</script>"
    )


def open_in_browser(record: Record) -> Path | None:
    """Show the button: in the cell, or in a page that the browser opens; then the page's path.

    Raises:
        WriteFailed: the trace is too large for a cell, or the page cannot be written.
    """
    made = fragment(record)
    if in_notebook():
        if len(made) > MOST_IN_A_CELL * 4 // 3:
            raise WriteFailed(
                None, "the trace is too large for a cell; run.export('run.pftrace') writes it as a "
                "file to be opened at ui.perfetto.dev",
            )  # fmt: skip
        from IPython.display import HTML, display

        display(HTML(made))  # type: ignore[no-untyped-call]
        return None
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(record.experiment)}</title></head><body>{made}</body></html>\n"
    )
    with tempfile.NamedTemporaryFile(
        "w", prefix="labkit-", suffix=".html", delete=False, encoding="utf-8"
    ) as file:
        file.write(page)
    webbrowser.open(Path(file.name).as_uri())
    return Path(file.name)
