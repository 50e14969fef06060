"""How encoders stand adversarial perturbations: a PDF report with verdicts on the paper's finding 3.

[bold]Examples[/]

rcdm-probe adversarial

rcdm-probe adversarial --encoder vicreg --attack PGD --attack FGSM --eps 1,2,4,8

rcdm-probe adversarial --encoder timm/resnet18 --reference vicreg --data photos/ --attack Displacement
"""

from pathlib import Path

from analyses.statistics import median, share
from probes.adversarial import report
from probes.adversarial.measurement import LEAST_IMAGES, Adversarial, measure, ready
from probes.probe import Compared, Needs, Probe

PROBE = Probe(
    name="adversarial",
    settings=Adversarial,
    needs=Needs(encoders="several", reference=True, level="backbone", judge=True, images=LEAST_IMAGES),
    images=lambda settings: settings.images + settings.training,
    ready=ready,
    measure=measure,
    tables={
        "robustness": report.robustness,
        "budgets": report.budgets,
        "towards": report.towards,
        "stakes": report.stakes,
        "rendered": report.rendered,
        "effort": report.effort,
        "transfers": report.transfers,
        "gradients": report.gradients,
        "controls": report.controls,
        "comparison": report.comparison,
        "classifiers": report.classifiers,
    },
    printed=report.PRINTED,
    verdicts=report.verdicts,
    finding=dict.fromkeys(report.WORDED, 3),
    rests_on={"rendered": "rendered"},
    rows_in=dict.fromkeys(report.WORDED, "comparison"),
    names=report.names,
    page=report.PAGE,
    compared={
        "correct": Compared(share, ("attack_steps", "restarts", "training")),
        "relative_displacement": Compared(median, ("attack_steps", "restarts")),
        "whitened_displacement": Compared(median, ("attack_steps", "restarts", "training")),
        "covered": Compared(median, ("attack_steps", "restarts", "seed")),  # by which goals are drawn
        "class_seen": Compared(share, ("attack_steps", "restarts", "training", "judge", "steps", "solver")),
    },
    quick={"images": 80, "training": 1000, "checked": 16, "rendered": 24},
    unlabelled={"attacks": ("Displacement",)},
    shown_in={3: ("gains", "robustness", "stakes", "smallest-budget", "rendered", "transfers")},
    words=Path(__file__).with_name("adversarial.md").read_text(encoding="utf-8"),
)
"""Robustness to perturbations made for the purpose, each attack beside random noise of the same budget."""
