"""The page of ``explore``: what it computes, without a browser; and the page itself, in a real headless one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from PIL import Image

from rcdm_core.data.registry import load_data
from rcdm_core.errors import UserError
from rcdm_probe.exploring import Change, Explore, draw, given, of_data, open_world, save, see
from rcdm_probe.opening import Asked

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = find_spec("axe_playwright_python")
TURN = "transformation", "rotation"


@pytest.fixture(scope="module")
def world(tiny_rcdm):
    return open_world(Asked(["vicreg"], rcdm=str(tiny_rcdm)), Explore(samples=1, steps=1, gallery=600))


@pytest.fixture(scope="module")
def images(world):
    return of_data(world, int(world.gallery[0])), of_data(world, int(world.gallery[1]))


@pytest.mark.parametrize(
    "change", [Change(*TURN, 0), Change("between"), Change("common dimensions", "transplanted"), Change("attack")]
)
def test_a_change_of_nothing_changes_nothing(world, images, change):
    seen = see(world, *images, change)
    assert [one.moved for one in seen] == pytest.approx([0] * len(seen), abs=1e-5)
    for before, after in draw(world, seen, images[0]):
        assert torch.allclose(before, after, atol=1e-4)


def test_the_image_is_nearest_to_itself_and_the_way_ends_at_the_other(world, images):
    for seen in see(world, *images, Change("between", amount=1.0)):
        assert seen.moved > 0.1
        assert torch.equal(seen.near[0], images[1].pixels)


def test_a_dose_moves_every_level_and_what_is_drawn_of_it(world, images):
    some, more = (see(world, *images, Change(*TURN, dose)) for dose in (10.0, 45.0))
    for less, seen in zip(some, more, strict=True):
        assert 0 < less.moved < seen.moved
    for (before, _), (same, after) in zip(*(draw(world, seen, images[0]) for seen in (some, more)), strict=True):
        assert torch.equal(before, same)
        assert not torch.equal(before, after)


def test_an_attack_stays_in_its_budget_and_moves_more_than_it_looks(world, images):
    for seen in see(world, *images, Change("attack", amount=4.0)):
        assert (seen.picture - images[0].pixels).abs().max() <= 4 / 255 + 1e-6
        assert seen.moved > 0.1


@pytest.mark.parametrize("edit", ["removed", "transplanted"])
def test_common_dimensions_are_removed_and_put_in(world, images, edit):
    halves, wholes = (see(world, *images, Change("common dimensions", edit, share)) for share in (0.5, 1.0))
    for half, whole in zip(halves, wholes, strict=True):
        assert half.moved == pytest.approx(whole.moved / 2, rel=1e-4, abs=1e-5)
    assert max(whole.moved for whole in wholes) > 0.1


def test_an_image_has_its_number_in_the_data_however_few_were_taken(world):
    some = load_data("scenes", image_size=32, limit=50)
    number = int(some.numbers[7])
    found = of_data(replace(world, context=replace(world.context, images=some)), number)
    assert (found.number, found.name) == (7, f"image {number} of scenes")
    assert torch.equal(found.pixels, world.context.images.images([number])[0])


def test_what_is_not_possible_is_told_with_the_remedy(world, images, tmp_path):
    with pytest.raises(UserError, match="10000 is not among the 10,000 images"):
        of_data(world, 10_000)
    with pytest.raises(UserError, match="second image"):
        see(world, images[0], None, Change("between", amount=0.5))
    with pytest.raises(UserError, match="transplanted needs a second image"):
        see(world, images[0], None, Change("common dimensions", "transplanted", 1))
    for kind, which, amount in (*TURN, 1e9), (*TURN, float("nan")), ("attack", "", -1):
        with pytest.raises(UserError, match="choose between 0 and"):
            see(world, *images, Change(kind, which, amount))
    with pytest.raises(UserError, match="unknown transformation 'spin'"):
        see(world, *images, Change("transformation", "spin", 1))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match=r"text\.png"):
        given(world, tmp_path / "text.png")


def test_without_a_decoder_the_numbers_are_there(images):
    bare = open_world(Asked(["vicreg"], rcdm="none"), Explore(gallery=30))
    seen = see(bare, *images, Change(*TURN, 20.0))
    assert all(
        one.moved > 0 and not len(after) for one, (_, after) in zip(seen, draw(bare, seen, images[0]), strict=True)
    )
    with pytest.raises(UserError, match="too few for near neighbours"):
        see(bare, *images, Change("common dimensions", "removed", 1.0))


def test_what_is_shown_is_saved_with_where_it_comes_from(world, images, tmp_path):
    Image.new("RGB", (40, 30), "red").save(tmp_path / "mine.png")
    mine, change = given(world, tmp_path / "mine.png"), Change(*TURN, 20.0)
    folder = save(world, see(world, mine, images[1], change), mine, images[1], change, root=tmp_path).parent
    for name in ("report.pdf", "report.html", "figures/seen.png", "tables/displacement.csv", "records.parquet"):
        assert (folder / name).is_file()
    facts = json.loads((folder / "run.json").read_text())
    assert facts["finished"]
    assert (facts["arguments"]["image"], facts["arguments"]["change"]) == ("mine.png", "rotation 20")
    assert {"vicreg", "rcdm of vicreg", "image", "other image", "data"} == set(facts["hashes"])


@pytest.fixture(scope="module")
def page(world, tmp_path_factory):
    if BROWSER is None or find_spec("gradio") is None:
        pytest.skip("needs gradio and a chromium browser on the PATH")
    from playwright.sync_api import sync_playwright

    from rcdm_probe.explore_page import serve

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.chdir(tmp_path_factory.mktemp("explored"))
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.requests = []
        opened.on("request", lambda request: opened.requests.append(request.url))
        opened.goto(serve(world, port=None, browser=False))
        opened.wait_for_selector(".seen meter", timeout=60_000)
        yield opened
        browser.close()


def test_a_slider_redraws_and_all_stays_on_this_machine(page, tmp_path):
    told = "document.querySelector('.seen h3').innerText"
    before = page.evaluate(told)
    dose = page.get_by_label("number input for Dose")
    dose.fill("40")
    page.keyboard.press("Enter")
    page.wait_for_function(f"{told} !== {json.dumps(before)}")
    page.wait_for_selector("figcaption:text-is('drawn from h: rotation 40')")
    dose.fill("90")  # more than there is
    page.wait_for_selector("figcaption:text-is('rotation 45')")
    page.get_by_label("Transformation", exact=True).last.click()
    page.get_by_role("option", name="erasing").click()
    page.wait_for_selector("figcaption:text-is('erasing 0.1')")
    dose.fill("9")
    page.wait_for_selector("figcaption:text-is('erasing 0.3')")
    page.get_by_label("attack").check()
    page.wait_for_selector("figcaption:text-is('attack 4')")
    for _ in range(4):  # the budget's number, what resets it, its slider, the button
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Save as a figure"
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Saved: /")
    (tmp_path / "text.png").write_text("no picture")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "text.png")
    assert page.inner_text(".seen [role=alert]").startswith("cannot read text.png as an image")
    page.get_by_label("Clear").click()
    page.wait_for_selector("figcaption:text-is('drawn from h: attack 4')")
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1280, "height": 900})
    assert all(url.startswith(("http://127.0.0.1:", "data:", "blob:")) for url in page.requests)


def test_the_newest_of_many_changes_is_what_is_shown(page):
    page.get_by_label("transformation", exact=True).check()
    slider = page.get_by_label("range slider for Dose")
    slider.focus()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(300)
    newest = f"erasing {float(slider.input_value()):g}"
    page.wait_for_function(
        """newest => [...document.querySelectorAll(".seen figcaption")].map(one => one.innerText)
            .filter(told => told.includes("erasing")).every(told => told.endsWith(newest))""",
        arg=newest,
    )


@pytest.mark.skipif(AXE is None, reason="axe-core is not there: pip install axe-playwright-python")
@pytest.mark.parametrize("scheme, width", [("light", 400), ("dark", 1000)])
def test_nothing_keeps_a_user_out(page, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.add_style_tag(content="* { transition: none !important; }")
    page.evaluate(f"document.body.classList.toggle('dark', {json.dumps(scheme == 'dark')})")
    page.wait_for_function("!document.querySelector('.pending')")
    page.evaluate(Path(AXE.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    assert not [one["id"] for one in found if one["impact"] in ("serious", "critical")]
