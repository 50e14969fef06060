"""The HTML page: the same content as the PDF, whole in one file; figures zoom, tables sort, in a real browser."""

from __future__ import annotations

import html
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from probes.page import document
from rcdm_probe.known_probes import load_probe, places
from reports.html import compile_html
from reports.names import is_of

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = find_spec("axe_playwright_python")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def shown(invariance_report):
    return document(invariance_report[0])


@pytest.fixture(scope="module")
def page_file(invariance_report):
    return invariance_report[1] / "report.html"


@pytest.fixture(scope="module")
def page(page_file):
    if BROWSER is None:
        pytest.skip("needs a chromium browser on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.problems = []
        opened.requests = []
        opened.on("console", lambda message: opened.problems.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        opened.on("request", lambda request: opened.requests.append(request.url))
        opened.goto(page_file.as_uri())
        yield opened
        browser.close()


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in ("path", "kind", "started") and (key, value.get("kind")) != ("name", "table"):
                yield from strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from strings(item)


def test_the_page_says_all_that_the_document_says(shown, page_file):
    text = html.unescape(re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page_file.read_text(), flags=re.DOTALL))
    unused = {shown["no-verdict"]}
    missing = [s for s in strings(shown) if s not in text and s not in unused]
    assert not missing


def test_text_of_a_user_is_never_read_as_markup(shown, page_file):
    strange = {**shown, "title": "<script>alert(1)</script> {{ 7 * 7 }}"}
    text = compile_html(strange, page_file.parent, name="strange.html").read_text()
    assert "<script>alert(1)" not in text
    assert "{{ 7 * 7 }}" in text


def test_the_page_is_whole_in_itself_and_runs_without_an_error(page):
    assert all(url.startswith(("file:", "data:")) for url in page.requests)
    assert not page.problems
    page.evaluate("document.querySelectorAll('img[loading]').forEach(image => { image.loading = 'eager'; })")
    page.wait_for_function("[...document.querySelectorAll('.zoom img')].every(i => i.complete && i.naturalWidth > 50)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_figure_opens_zooms_where_one_points_moves_and_closes(page):
    page.locator(".zoom").first.click()
    image = page.locator("dialog img")
    assert page.evaluate("document.querySelector('dialog').open")
    width = image.bounding_box()["width"]
    page.mouse.move(900, 300)
    page.mouse.wheel(0, -600)
    page.wait_for_function("Number(document.querySelector('dialog img').dataset.scale) > 2")
    zoomed = image.bounding_box()
    assert zoomed["width"] == pytest.approx(width * float(image.get_attribute("data-scale")), rel=0.01)
    before = (900 - (640 - width / 2)) / width  # where in the figure the pointer stood, and stands still
    assert (900 - zoomed["x"]) / zoomed["width"] == pytest.approx(before, abs=0.02)

    page.mouse.down()
    page.mouse.move(950, 340)
    page.mouse.up()
    moved = image.bounding_box()
    assert (moved["x"] - zoomed["x"], moved["y"] - zoomed["y"]) == pytest.approx((50, 40), abs=1)

    page.keyboard.press("0")
    assert image.get_attribute("data-scale") == "1.000"
    page.keyboard.press("Escape")
    assert not page.evaluate("document.querySelector('dialog').open")


def test_contents_lead_to_every_section_and_a_narrow_window_fits(shown, page):
    for target in page.eval_on_selector_all("nav a", "links => links.map(link => link.getAttribute('href'))"):
        assert page.locator(target).count() == 1
    assert page.locator("nav a").count() == len(shown["sections"])
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1000, "height": 900})
    assert page.evaluate("[...document.querySelectorAll('.scroll')].every(e => e.scrollWidth <= e.clientWidth)")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_the_number_of_a_verdict_leads_to_its_rows(shown, page):
    links = page.locator("a.number")
    assert links.count() == len(shown["verdicts"])
    for verdict, link in zip(shown["verdicts"], links.all(), strict=True):
        link.click()
        told = page.locator(":target").inner_text()
        assert f"{verdict['value']} {verdict['interval']}" in told or page.locator(":target table").count()


def test_a_table_is_sorted_both_ways_and_back(page):
    column = "[...document.querySelectorAll('#table-comparison tbody tr')].map(row => row.cells[2].textContent)"
    printed = page.evaluate(column)
    button = page.locator("#table-comparison thead th").nth(2).locator("button")
    first = [float(cell.split()[0].replace("−", "-")) for cell in printed if cell != "–"]
    for order, wanted in (("ascending", sorted(first)), ("descending", sorted(first, reverse=True))):
        button.click()
        cells = [cell for cell in page.evaluate(column) if cell != "–"]
        assert [float(cell.split()[0].replace("−", "-")) for cell in cells] == wanted
        assert page.locator(f"#table-comparison [aria-sort={order}]").count() == 1
    button.click()
    assert page.evaluate(column) == printed


@pytest.mark.skipif(AXE is None, reason="axe-core is not there: pip install axe-playwright-python")
@pytest.mark.parametrize("scheme, width", [("light", 400), ("dark", 1000)])
def test_nothing_keeps_a_reader_out(page, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(Path(AXE.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 900})
    assert not [one["id"] for one in found if one["impact"] in ("serious", "critical")]


def test_every_claim_of_a_probe_has_a_table_on_its_page():
    for probe in map(load_probe, places()):
        families = [one for held in probe.rows_in.values() for one in held.split(" or ")]
        shown = [show.name for shows in probe.page.values() for show in shows if getattr(show, "kind", "") == "table"]
        assert all(any(is_of(family, name) for name in shown) for family in families), probe.name
        assert bool(families) == any(section.startswith("verdict ") for section in probe.wording.sections), probe.name
