"""Write the gallery, and what was found on the page about the paper, from a finished ``rcdm-probe reproduce --quick``.

python docs/gallery.py RUN_FOLDER
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
WIDTH, QUALITY = 900, 70
SHOWN = "vicreg"  # of what there is of every encoder
COMMAND = "`rcdm-probe reproduce --quick`"


def main(run: Path) -> None:
    """Write ``gallery.md``, its pictures, and the table of ``paper.md``."""
    told = json.loads((run / "report.json").read_text(encoding="utf-8"))
    head = f"The figures of {COMMAND}; those of single encoders are {SHOWN}'s."
    lines = ["# Gallery", head, *shown(run, told["figure"])]
    for section in told["sections"]:
        figures = [line for block in section["blocks"] for line in shown(run, block)]
        lines += [f"## {section['title']}", *figures] if figures else []
    (HERE / "gallery.md").write_text("\n\n".join(lines) + "\n", encoding="utf-8")

    intro = f"By {COMMAND}, of few images each: a word, the statistic of its rule, and its 95% interval."
    found = f"## Found\n\n{intro}\n\n{table(told['verdict-grid'])}\n\n"
    page = HERE / "paper.md"
    text = re.sub(r"## Found\n.*?(?=## )", lambda _: found, page.read_text(encoding="utf-8"), flags=re.DOTALL)
    page.write_text(text, encoding="utf-8")


def shown(run: Path, block: dict[str, Any]) -> Iterator[str]:
    """The paragraphs of a block that holds a figure; its picture is made small on the way."""
    pictures = block.get("pictures", [block]) if block["kind"] in ("figure", "figures") else []
    for picture in pictures:
        if picture.get("title", SHOWN) == SHOWN:
            name = Path(picture["path"]).stem
            (HERE / "gallery").mkdir(exist_ok=True)
            with Image.open(run / "figures" / f"{name}.png") as image:
                image.thumbnail((WIDTH, 2 * WIDTH), Image.Resampling.LANCZOS)
                image.convert("RGB").save(HERE / "gallery" / f"{name}.webp", quality=QUALITY, method=6)
            yield f"![{block['lead']}](gallery/{name}.webp)"
            yield " ".join(f"**{block['lead']}** {block['text']} {block['how']}".split())


def table(verdicts: dict[str, Any]) -> str:
    """The verdicts, encoder by encoder."""
    rows = [["finding", *verdicts["columns"]], ["---"] * (len(verdicts["columns"]) + 1)]
    for row in verdicts["rows"]:
        told = (one if isinstance(one, str) else "{word} {value} {interval}".format(**one) for one in row["cells"])
        rows.append([": ".join(filter(None, (row["name"], row.get("about")))), *told])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
