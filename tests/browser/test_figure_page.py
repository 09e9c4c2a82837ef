# SPDX-License-Identifier: MIT
"""A figure of a panel in JupyterLab, on this machine's own kernel, where Plotly loads slowly."""

import nbformat
import pytest
from playwright.sync_api import expect
from test_lab import NOTHING_WAITS, menu, picture

pytestmark = pytest.mark.timeout(1800)

#: Plotly's script is there 4 s late: anywidget waits 2 s for a widget's own.
SLOWLY = """
const made = URL.createObjectURL.bind(URL);
URL.createObjectURL = (blob) => {
  const url = made(blob);
  if (blob.size < 1e6) return url;
  const late = `await new Promise((then) => setTimeout(then, 4000));
    export { default } from "${url}"; window.late = true;`;
  return made(new Blob([late], { type: "text/javascript" }));
};
"""

#: All that the chart is ever told, it is told at once.
CELL = """
from labkit.panels.live_chart import LiveChart
from labkit.panels.meter import Reading
chart = LiveChart("hand-offs")
display(chart)
for t in range(3):
    chart.add(float(t), Reading("futex", 100.0 + t, 1.0, 2 + t, 1))
"""


def test_a_figure_is_drawn_whole_where_plotly_loads_slowly(lab, page):
    cells = [nbformat.v4.new_code_cell(CELL)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata=kernel), lab.folder / "notebooks" / "a.ipynb"
    )
    page.add_init_script(SLOWLY)
    page.goto(lab.page("a.ipynb"))
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Idle")
    menu(page, "Run", "Run All Cells")
    page.wait_for_function(NOTHING_WAITS)
    chart = page.locator(".labkit-chart .js-plotly-plot")
    expect(chart).to_contain_text("hand-offs a second")
    expect(chart.locator(".scatterlayer path.js-line")).to_have_count(4)
    assert page.evaluate("window.late")
    picture(page, "figure-slowly", chart)
