"""How encoders stand adversarial perturbations: a PDF report with verdicts on the paper's finding 3.

[bold]Examples[/]

rcdm-probe adversarial

rcdm-probe adversarial --encoder vicreg --attack PGD --attack FGSM --eps 1,2,4,8

rcdm-probe adversarial --encoder timm/resnet18 --reference vicreg --data photos/ --attack Displacement
"""

from pathlib import Path

from probes.adversarial import page, tables
from probes.adversarial.measurement import measure, ready
from probes.adversarial.settings import LEAST_IMAGES, Adversarial
from probes.probe import Needs, Probe

PROBE = Probe(
    name="adversarial",
    settings=Adversarial,
    needs=Needs(encoders="several", reference=True, level="backbone", judge=True, images=LEAST_IMAGES),
    images=lambda settings: settings.images + settings.training,
    ready=ready,
    measure=measure,
    tables={
        "robustness": tables.robustness,
        "budgets": tables.budgets,
        "rendered": tables.rendered,
        "effort": tables.effort,
        "transfers": tables.transfers,
        "gradients": tables.gradients,
        "controls": tables.controls,
        "comparison": tables.comparison,
        "classifiers": tables.classifiers,
    },
    printed=page.PRINTED,
    verdicts=tables.verdicts,
    finding=dict.fromkeys(tables.ASPECTS, 3),
    names=page.names,
    page=page.PAGE,
    quick={"images": 80, "training": 1000, "eps": (1.0, 2.0, 4.0), "checked": 16, "rendered": 12, "steps": 6},
    unlabelled={"attacks": ("Displacement",)},
    shown_in={3: ("gains", "robustness", "smallest-budget", "rendered", "transfers")},
    words=Path(__file__).with_name("adversarial.md").read_text(encoding="utf-8"),
)
"""Robustness to perturbations made for the purpose, each attack beside random noise of the same budget."""
