"""The page of ``rcdm-probe explore``: controls, and what `rcdm_probe.exploring` makes of them. It computes nothing.

It is served to this machine alone: no sharing link, no analytics, fonts of the system.
"""

from __future__ import annotations

import base64
import io
import os
import threading
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported

import gradio as gr
from PIL import Image

from probes.transformations import TRANSFORMATIONS
from rcdm_core.errors import UserError, first_line
from rcdm_probe import exploring
from rcdm_probe.exploring import CHANGES, EDITS, LARGEST, Change
from reports.figures.grid import compose
from reports.names import listed
from reports.tables import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from rcdm_probe.exploring import Chosen, Seen, World

OFFERED = 12  # images of the data that are there to be clicked on
SECOND = ("between", "common dimensions")  # kinds of change that can make use of a second image
_SIDE = 64  # dots: smaller pictures are enlarged, each pixel to a square
_UPLOADS = """() => new MutationObserver(() =>
    document.querySelectorAll(".upload-container[aria-label]").forEach(one => one.removeAttribute("aria-label"))
).observe(document.body, {childList: true, subtree: true})"""  # gradio names them by other words than they show
_CSS = """
.html-container { padding: 0 !important; }
.seen h3 { margin: .8rem 0 .2rem; font-size: 1rem; }
.seen figure { display: inline-block; margin: .2rem .8rem .2rem 0; vertical-align: top; max-width: 100%; }
.seen img { display: block; max-width: 100%; image-rendering: pixelated; }
.grid-container { grid-template-columns: repeat(6, 1fr) !important; grid-auto-rows: auto !important; }
.seen meter { width: 8rem; vertical-align: middle; }
.seen .pending { min-height: 2rem; transition-delay: .5s; }
.seen .wrap.minimal { animation: late .7s; }
@keyframes late { 0%, 99% { opacity: 0; } }
.or, .min_value, .max_value { color: inherit !important; }
.problem { padding: .6rem 1rem; border-left: 4px solid #e69f00; }
"""


def _nearest(slider: gr.Slider, typed: float | None) -> float:
    """What a slider will show of what is typed beside it: the nearest that it has; of nothing, its least."""
    return min(max(typed or 0.0, slider.minimum), slider.maximum)


gr.Slider.preprocess = _nearest  # type: ignore[method-assign, assignment]  # gradio's own raises, which ends up in the terminal


def serve(world: World, port: int | None, browser: bool) -> str:
    """Open the page to this machine alone, while this process lives; gives its address.

    Args:
        world: What it shows.
        port: Of the loopback address; None takes a free one.
        browser: Whether a browser is opened.

    Raises:
        UserError: The port is taken.
    """
    fonts: Any = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    try:
        _, address, _ = build(world).launch(
            server_name="127.0.0.1", server_port=port, inbrowser=browser, share=False, ssr_mode=False, quiet=True,
            prevent_thread_lock=True, footer_links=[], css=_CSS, js=_UPLOADS, theme=gr.themes.Default(**fonts),
        )  # fmt: skip
    except OSError as error:
        raise UserError(f"no page can be served ({first_line(error)})", "choose another --port") from error
    return str(address)


def build(world: World) -> gr.Blocks:
    """The page."""
    images = world.context.images
    names, first = listed([one.name for one in world.context.encoders]), TRANSFORMATIONS["rotation"]
    changed = [(entry.label, name) for name, entry in TRANSFORMATIONS.items()]
    with gr.Blocks(title=f"rcdm-probe: {names}", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.Markdown(f"# Seen by {names}\nMoved: 0 is unmoved, 1 as far as another image of {images.name}.")
        with gr.Row():
            with gr.Column(min_width=300):
                kind = gr.Radio(list(CHANGES), value="transformation", label="Change")
                with gr.Column() as transforming:
                    which = gr.Dropdown(changed, value=first.name, label="Transformation")
                    dose = gr.Slider(0, first.doses[-1], first.reference, label=f"Dose: {first.unit}")
                with gr.Column(visible=False) as going:
                    way = gr.Slider(0, 1, 0.5, label="Way from the image to the second image")
                with gr.Column(visible=False) as editing:
                    edit = gr.Radio([(told, name) for name, told in EDITS.items()], value="removed", label="Edit")
                    share = gr.Slider(0, 1, 1, label="How far")
                with gr.Column(visible=False) as attacking:
                    budget = gr.Slider(0, LARGEST, 4, step=0.5, label="Budget: 255ths of the range of a pixel")
                button, message = gr.Button("Save as a figure"), gr.HTML()  # before what has many stops of the keyboard
                sides = _chooser(world, "Image", 0)
                with gr.Column(visible=False) as beside:
                    sides += _chooser(world, "Second image", 1)
            with gr.Column(scale=2, min_width=300, elem_classes="seen"):
                sides_shown, state, numbers, pictures = gr.HTML(), gr.State(None), [], []
                with gr.Row():
                    for run in world.context.each_encoder():
                        with gr.Column(min_width=300):
                            gr.Markdown(f"## {run.encoder.name}")
                            for _ in run.levels:
                                numbers.append(gr.HTML())
                                pictures.append(gr.HTML())
        parts = dict(zip(CHANGES, (transforming, going, editing, attacking), strict=True))
        controls = [*sides, kind, which, dose, way, edit, share, budget]
        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        newest: dict[str, Any] = {**hidden, "trigger_mode": "always_last", "show_progress": "minimal"}
        alone = threading.Lock()  # an encoder need not bear two pages that ask at once

        def seeing(*values: Any) -> tuple[Any, ...]:
            with alone:
                return looked(world, *values)

        def drawing(kept: tuple[Any, ...] | None) -> dict[gr.HTML, str]:
            return dict(zip(pictures, drawn(world, kept), strict=True))

        def fitting(now: str) -> list[Any]:
            return [gr.update(visible=one) for one in (*(now == part for part in parts), now in SECOND)]

        kind.change(fitting, kind, [*parts.values(), beside], queue=False, **hidden)
        telling: dict[str, Any] = {
            "fn": seeing, "inputs": controls, "outputs": [sides_shown, *numbers, state], "queue": False, **newest,
        }  # fmt: skip
        moved = [control.input for control in (kind, dose, way, edit, share, budget)]
        asked = gr.on([page.load, *(side.change for side in sides), *moved], **telling)
        for told in (asked, which.input(_fitted, which, dose, queue=False, **hidden).then(**telling)):
            told.then(drawing, state, pictures, **newest)  # numbers do not wait for pictures
        button.click(lambda kept: saved(world, kept), state, message, **hidden)
    return page


def _chooser(world: World, title: str, place: int) -> list[Any]:
    """Controls that choose an image: one of the data by its number, or a file in its place."""
    images, offered = world.context.images, [int(one) for one in world.gallery[:OFFERED]]
    with gr.Column():
        own = gr.File(label=f"{title}: drop your own", type="filepath", height=140)  # read, and refused, by us
        numbers = images.numbers[offered].tolist()
        chosen = gr.Number(numbers[place], label=f"{title}: number in {images.name}", precision=0)
        thumbnails = [_pil(image[None]) for image in images.images(offered)]
        gallery = gr.Gallery(
            thumbnails, label=f"{title}: some of {images.name}", columns=6, height=150, allow_preview=False,
            show_label=False, interactive=False, buttons=[],
        )  # fmt: skip

        def pick(event: gr.SelectData) -> tuple[int, None]:
            return numbers[event.index], None

        gallery.select(pick, None, [chosen, own], show_progress="hidden", api_visibility="private")
    return [chosen, own]


def _fitted(which: str) -> Any:
    """The slider of doses as a transformation has them."""
    entry = TRANSFORMATIONS[which]
    return gr.update(maximum=entry.doses[-1], value=entry.reference, label=f"Dose: {entry.unit}")


def looked(
    world: World,
    first: int | None,
    own: str | None,
    second: int | None,
    others: str | None,
    kind: str,
    which: str,
    *amounts: Any,
) -> tuple[Any, ...]:
    """What the controls ask for, as HTML, level by level, and what there is to be drawn and saved.

    Of a mistake, the message and nothing.
    """
    dose, way, edit, share, budget = amounts
    change = {
        "transformation": Change(kind, which, dose),
        "between": Change(kind, amount=way),
        "common dimensions": Change(kind, edit, share),
        "attack": Change(kind, amount=budget),
    }[kind]
    try:
        image = _chosen(world, first, own)
        other = _chosen(world, second, others) if kind in SECOND else None
        seen = exploring.see(world, image, other, change)
    except (UserError, RuntimeError, OSError, ValueError) as error:
        return _problem(error), *([""] * len(world.units)), None
    sides = {image.name: image.pixels[None], **({f"second: {other.name}": other.pixels[None]} if other else {})}
    return _pictures(sides), *(_told(one, change) for one in seen), (seen, image, other, change)


def _chosen(world: World, number: int | None, file: str | None) -> Chosen:
    if file is None:
        if number is None:
            raise UserError("no image is chosen", "give its number, or drop a file")
        return exploring.of_data(world, number)
    try:
        return exploring.given(world, file)
    except UserError as error:  # it lies where it was put aside, and is known by its own name
        raise UserError(error.problem.replace(file, Path(file).name), error.remedy) from error


def _told(one: Seen, change: Change) -> str:
    """What a level makes of a change, as HTML."""
    level = escape(one.level)
    meter = f'<meter max="1" value="{min(one.moved, 1):.3f}" aria-label="{level} moved"></meter>'
    changed = {} if one.picture is None else {change.told: one.picture[None]}
    head = f'<div role="status"><h3>{level} moved by {number(one.moved)} {meter}</h3></div>'
    return head + _pictures({**changed, "nearest images": one.near})


def drawn(world: World, kept: tuple[Any, ...] | None) -> list[str]:
    """Pictures of what was looked at last, as HTML, level by level."""
    if kept is None:
        return [""] * len(world.units)
    seen, image, _, change = kept
    try:
        pairs = exploring.draw(world, seen, image)
    except (UserError, RuntimeError) as error:
        return [_problem(error)] * len(world.units)
    nothing = "<p>Nothing draws from this level: train an RCDM for it, and give it with --rcdm.</p>"
    return [
        _pictures({"drawn from h": before, f"drawn from h: {change.told}": after}) if len(before) else nothing
        for before, after in pairs
    ]


def saved(world: World, kept: tuple[Any, ...] | None) -> str:
    """Save what is shown; tells where, as HTML."""
    if kept is None:
        return _problem(UserError("there is nothing to save", "choose an image that can be shown"))
    try:
        report = exploring.save(world, *kept)
    except UserError as error:
        return _problem(error)
    return f"<p>Saved: {escape(str(report.parent.resolve()))}</p>"


def _pictures(rows: Mapping[str, torch.Tensor]) -> str:
    """Pictures ``[N, 3, S, S]`` by caption; those that there are none of are left out."""
    out = []
    for caption, images in rows.items():
        if len(images):
            data, told = io.BytesIO(), escape(caption)
            _pil(images).save(data, "PNG", compress_level=1)
            address = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")
            out.append(f'<figure><img src="{address}" alt="{told}"><figcaption>{told}</figcaption></figure>')
    return f"<div>{''.join(out)}</div>"


def _pil(images: torch.Tensor) -> Image.Image:
    """Images ``[N, 3, S, S]`` side by side."""
    return Image.fromarray(compose(images[None].numpy(), max(1, _SIDE // images.shape[-1])))


def _problem(error: Exception) -> str:
    told = str(error) if isinstance(error, UserError) else first_line(error)
    return f'<p class="problem" role="alert">{escape(told)}</p>'
