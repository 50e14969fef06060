"""What the report shows: its figures, its tables as they are read, and the names that its words are filled in with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from analyses.findings import rule_of_gain
from analyses.tables import measured
from probes.adversarial.attacks import AUTO_STEPS, STRIDE
from probes.adversarial.tables import ERRING, VANISHING, doubts
from probes.probe import Show
from reports import blocks
from reports.decoder import training_command
from reports.figures.robustness import draw_budgets, draw_gains, draw_rendered, draw_robustness
from reports.names import listed
from reports.tables import cell, decisive, number, rows_where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from matplotlib.figure import Figure

    from probes.adversarial.attacks import Entry
    from probes.probe import Found, Page
    from reports.blocks import Block

_AXES = {
    "displacement": "displacement saved",
    "accuracy": "decisions saved",
    "rendered": "rendered classes saved",
}


def first(found: Found) -> Entry:
    """The attack of the verdicts."""
    return found.settings.entries[0]


def are_decided(found: Found) -> bool:
    """Whether there are labels, and so decisions."""
    return not found.tables["classifiers"].empty


def were_drawn(found: Found) -> bool:
    """Whether there are samples."""
    return bool(found.panels_of("attacked"))


def undrawn(found: Found) -> list[str]:
    """Names of the encoders that nothing was drawn from, where there are samples of others."""
    return [name for name in found.encoders if were_drawn(found) and name not in found.panels_of("attacked")[0].rows]


def is_empty(table: str) -> Callable[[Found], bool]:
    """Whether a table has no rows."""
    return lambda found: found.tables[table].empty


def no(condition: Callable[[Found], Any]) -> Callable[[Found], bool]:
    """Whether a condition does not hold."""
    return lambda found: not condition(found)


def flips(found: Found) -> pd.DataFrame:
    """Records of the smallest budgets of the verdicts' attack; none of one that needs no labels."""
    return rows_where(measured(found.records, "smallest_budget"), condition=first(found).name)


def names(found: Found) -> dict[str, Any]:
    """What the words tell besides; phrases by what holds of the run."""
    settings, words, run = found.settings, found.probe.wording, found.run
    entry, left = first(found), undrawn(found)
    converged = next((one for one in settings.entries if one.iterated), entry)
    factors = [panel.rows[1].rpartition(" ")[2] for panel in found.panels_of("perturbations")]
    saved = words.parts("saved")
    told = {
        "encoders": listed(found.encoders),
        "entries": [
            f"{one.name}: {one.about}; {', '.join(f'{budget:g}' for budget in settings.budgets(one))} {one.unit}"
            for one in settings.entries
        ],
        "level": settings.level,
        "attack": entry.name,
        "unit": entry.unit,
        "middle": entry.told(settings.middle(entry)),
        "largest": entry.told(settings.budgets(entry)[-1]),
        "factor": "".join(factors),
        "saved": ", ".join(saved[aspect] for aspect in saved if aspect in set(found.tables["comparison"]["aspect"])),
        "converged": converged.name,
        "converged_within": converged.told(settings.middle(converged)),
        "undrawn": ", ".join(left),
        "train": training_command("NAME"),
        "train_undrawn": training_command(left[0]) if left else "",
        "rule_of_gain": rule_of_gain("encoders"),
        "vanishing": f"{VANISHING:.0%}",
        "erring": ERRING,
        "stride": STRIDE,
        "auto_steps": AUTO_STEPS,
    }
    judged = not found.tables["rendered"].empty
    holds = {
        "decisions are attacked": are_decided(found),
        "the reference is supervised": found.is_ssl(settings.reference) is False,
        "the verdicts' attack is on decisions": entry.needs_labels,
        "convergence is that of decisions": converged.needs_labels,
        "the judge reads scenes": judged and settings.judge is None,
        "an encoder judges": judged and settings.judge is not None,
        "samples were drawn": settings.rendered and run["drawn_levels"],
    }
    phrases = words.parts("phrases", *(f"phrases where {condition}" for condition, held in holds.items() if held))
    for name, text in phrases.items():
        told[name] = text.format_map({**run["arguments"], **told})
    return told


def in_short(found: Found) -> Iterator[Block]:
    """The outcome in sentences."""
    entry, table = first(found), found.tables["robustness"]
    rows, middle = rows_where(table, condition=entry.name), found.settings.middle(entry)
    at, clean = (
        rows[rows["strength"] == middle].set_index("encoder"),
        table[table["strength"] == 0].set_index("encoder"),
    )
    moved = ", ".join(f"{name} {cell(at.loc[name], 'relative_displacement')}" for name in found.encoders)
    out = [f"{entry.name} within {entry.told(middle)} moves h this far on the way to another image: {moved}."]
    if len(clean):
        kept = ", ".join(
            f"{name} {number(clean.loc[name, 'accuracy'])} to {number(at.loc[name, 'accuracy'])}"
            for name in found.encoders
        )
        out.append(f"Accuracy, untouched and then under that attack: {kept}.")
    noise = rows_where(table, condition=entry.noise).dropna(subset=["relative_displacement"])
    if len(noise):
        worst = noise.loc[noise["relative_displacement"].idxmax()]
        attacked = rows_where(rows[rows["strength"] == worst["strength"]], encoder=worst["encoder"]).iloc[0]
        out.append(
            f"Random noise of the same budgets moves h by at most {number(worst['relative_displacement'])} "
            f"({worst['encoder']}, {entry.told(worst['strength'])}), where {entry.name} moves it by "
            f"{cell(attacked, 'relative_displacement')}."
        )
    words = [verdict.word for verdict in found.verdicts]
    if words:
        counts = [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]
        out.append(f"Of {len(words)} verdicts on finding 3: {', '.join(counts)}.")
    yield blocks.points(out)


def gains_figure(found: Found) -> Figure:
    """Each encoder beside the reference."""
    return draw_gains(found.tables["comparison"], aspects=_AXES, reference=found.settings.reference)


def robustness_figure(found: Found) -> Figure:
    """Curves against the budget."""
    entries = {entry.name: entry for entry in found.settings.entries}
    return draw_robustness(
        found.tables["robustness"],
        attacks=list(entries),
        noise={name: entry.noise for name, entry in entries.items()},
        units={name: entry.unit for name, entry in entries.items()},
        reference=found.settings.reference,
    )


def budgets_figure(found: Found) -> Figure:
    """The share of decisions flipped by each budget."""
    entry, reference = first(found), found.settings.reference
    largest = float(rows_where(found.tables["budgets"], condition=entry.name)["largest"].max())
    return draw_budgets(flips(found), attack=entry.name, unit=entry.unit, largest=largest, reference=reference)


def rendered_figure(found: Found) -> Figure:
    """How often the class is still seen in what is drawn."""
    entry, reference, table = first(found), found.settings.reference, found.tables["rendered"]
    return draw_rendered(table, attack=entry.name, noise=entry.noise, unit=entry.unit, reference=reference)


def printed_robustness(found: Found) -> pd.DataFrame:
    """Attack by attack, a row for each encoder and budget, noise beside."""
    by_key, rows = found.tables["robustness"].set_index(["encoder", "condition", "strength"]), []
    for entry in found.settings.entries:
        for name in found.encoders:
            about = {"attack": entry.name, "unit": entry.unit, "encoder": name}
            if (name, "", 0.0) in by_key.index:
                rows.append(by_key.loc[(name, "", 0.0)].to_dict() | about | {"budget": "0"})
            for budget in found.settings.budgets(entry):
                attacked, noise = (by_key.loc[(name, one, budget)] for one in (entry.name, entry.noise))
                beside = {"noise_accuracy": noise["accuracy"], "noise_displacement": noise["relative_displacement"]}
                rows.append(attacked.to_dict() | about | beside | {"budget": f"{budget:g}"})
    return pd.DataFrame(rows)


def printed_strengths(found: Found) -> pd.DataFrame:
    """For each encoder, accuracy and displacement untouched and at every budget of the verdicts' attack."""
    rows = found.tables["robustness"]
    rows = rows[rows["condition"].isin(["", first(found).name])].sort_values("strength", kind="stable")
    both = rows["accuracy"].map(number) + "/" + rows["relative_displacement"].map(number)
    shown = rows.assign(budget=rows["strength"].map("{:g}".format), both=both)
    wide = shown.pivot(index="encoder", columns="budget", values="both")
    return wide.loc[list(found.encoders), list(dict.fromkeys(shown["budget"]))].reset_index()


def printed_comparison(found: Found) -> pd.DataFrame:
    """Gains with as many digits as show on which side of 0 they lie."""
    table = found.tables["comparison"]
    gains = [cell(row, "gain", decisive(row["gain_low"], row["gain_high"])) for _, row in table.iterrows()]
    return table.assign(gain=pd.Series(gains, table.index, dtype=object))


def printed_budgets(found: Found) -> pd.DataFrame:
    """Median budgets; those beyond the grid are said to be."""
    table = found.tables["budgets"]
    medians = [f"{'≥ ' * bool(row['budget'] >= row['largest'])}{cell(row, 'budget')}" for _, row in table.iterrows()]
    return table.assign(median=pd.Series(medians, table.index, dtype=object))


def printed_rendered(found: Found) -> pd.DataFrame:
    """A row for each encoder, a column for each state of h."""
    entry = first(found)
    rows: dict[str, dict[str, str]] = {}
    for _, row in found.tables["rendered"].iterrows():
        named = {"": "h(x)", entry.noise: "noise"}.get(row["condition"], f"{row['condition']} {row['strength']:g}")
        rows.setdefault(row["encoder"], {"encoder": row["encoder"]})[named] = cell(row, "class_seen")
    return pd.DataFrame(list(rows.values()))


def printed_effort(found: Found) -> pd.DataFrame:
    """A row for each encoder, a column for each amount of work."""
    table, rows = found.tables["effort"], []
    work = {condition: condition.partition(": ")[2] for condition in dict.fromkeys(table["condition"])}
    for name in found.encoders if len(table) else ():
        own = rows_where(table, encoder=name).set_index("condition")
        shares = {told: float(own["found"].get(condition, float("nan"))) for condition, told in work.items()}
        rows.append({"encoder": name, **shares, "images": int(own["images"].max()) if len(own) else 0})
    return pd.DataFrame(rows)


def printed_transfers(found: Found) -> pd.DataFrame:
    """Of each encoder, the other one whose adversaries do best."""
    table = found.tables["transfers"]
    best = table.loc[table.groupby("encoder", sort=False)["difference"].idxmin()]
    told = [f"{row['source']}: {cell(row, 'transferred')}" for _, row in best.iterrows()]
    masked = ["yes" if high < 0 else "no" for high in best["difference_high"]]
    return best.assign(
        best=pd.Series(told, best.index, dtype=object), masked=pd.Series(masked, best.index, dtype=object)
    )


def printed_gradients(found: Found) -> pd.DataFrame:
    """Whether the attack could see its way, and so can be trusted."""
    table, blind = found.tables["gradients"], doubts(found)
    trusted = ["no" if row["encoder"] in blind else "yes" if row["images"] else "–" for _, row in table.iterrows()]
    return table.assign(trusted=trusted)


def printed_controls(found: Found) -> pd.DataFrame:
    """With digits enough to see rounding."""
    table = found.tables["controls"]
    fine = {name: [number(value, 4) for value in table[name]] for name in ("perturbation", "out_of_range")}
    return table.assign(**fine)


def printed_classifiers(found: Found) -> pd.DataFrame:
    """Penalties as powers of ten, and thousands set apart."""
    table = found.tables["classifiers"]
    fine: Mapping[str, list[str]] = {
        "penalty": [f"{penalty:g}" for penalty in table["penalty"]],
        "training": [f"{images:,}" for images in table["training"]],
    }
    return table.assign(**fine)


PRINTED = {
    "robustness": printed_robustness,
    "strengths": printed_strengths,
    "comparison": printed_comparison,
    "budgets": printed_budgets,
    "rendered": printed_rendered,
    "effort": printed_effort,
    "transfers": printed_transfers,
    "gradients": printed_gradients,
    "controls": printed_controls,
    "classifiers": printed_classifiers,
}

PAGE: Page = {
    "": [Show("figure", "gains", gains_figure, no(is_empty("comparison")))],
    "In short": [in_short],
    "Accuracy and displacement against the budget": [
        Show("figure", "robustness", robustness_figure),
        Show("table", "robustness"),
        Show("table", "comparison"),
        Show("missing", "decisions", when=no(are_decided)),
    ],
    "The smallest budget that flips a decision": [
        Show("missing", "budgets", when=is_empty("budgets")),
        Show("figure", "smallest-budget", budgets_figure, lambda found: len(flips(found)) > 0),
        Show("table", "budgets"),
    ],
    "What is drawn from an attacked h": [
        Show("text", "drawn", when=were_drawn),
        Show("missing", "asked", when=lambda found: found.settings.rendered == 0),
        Show("missing", "drawn", when=lambda found: found.settings.rendered > 0 and not were_drawn(found)),
        Show("missing", "undrawn", when=lambda found: bool(undrawn(found))),
        Show("panel", "attacked"),
        Show("panel", "perturbations"),
        Show("figure", "rendered", rendered_figure, no(is_empty("rendered"))),
        Show("table", "rendered"),
        Show("missing", "judge", when=lambda found: were_drawn(found) and found.tables["rendered"].empty),
    ],
    "Can the attacker be trusted?": [
        Show("text", "checks"),
        *(Show("table", name) for name in ("effort", "transfers", "gradients", "controls", "classifiers")),
    ],
}
