"""The linear classifier on a frozen encoder is the logistic regression that scikit-learn finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from rcdm_core.errors import UserError
from rcdm_core.linear_classifier import fit_classifier, log_probabilities, solve_logistic
from rcdm_core.principal_axes import principal_axes, standardise


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_softmax_regression_solves_its_problem() -> None:
    """At a fixed penalty the probabilities are those of scikit-learn, whose C is 1 / (rows x penalty)."""
    z = standardise(noise(200, 6).double())
    squares, right = principal_axes(z)
    codes = (noise(200, 3, seed=3) + z[:, :3]).argmax(1)
    rotated = (z @ right).float()
    weights, bias = solve_logistic(
        rotated,
        (squares / 200).float(),
        codes,
        torch.ones(200, 1, dtype=torch.bool),
        torch.tensor([0.01]),
        tolerance=1e-6,
    )
    ours = log_probabilities(rotated, weights, bias)[:, 0].exp()
    reference = LogisticRegression(C=1 / (200 * 0.01), tol=1e-8, max_iter=1000).fit(z.numpy(), codes.numpy())
    np.testing.assert_allclose(ours.numpy(), reference.predict_proba(z.numpy()), atol=2e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_logits_belong_to_representations_as_the_encoder_gives_them(classes: int) -> None:
    """Standardisation and rotation are inside the weights; a constant dimension has none."""
    h = torch.cat([noise(300, 4) * torch.tensor([0.1, 1.0, 10.0, 100.0]) + 5, torch.full((300, 1), 7.0)], 1)
    labels = (standardise(h)[:, :classes] + noise(300, classes, seed=1)).argmax(1)
    ours = fit_classifier(h, labels, classes, penalties=(0.01,))
    z = standardise(h.double()).numpy()
    strength = (2 if classes == 2 else 1) / (300 * 0.01)  # of two classes it has one column: half of our |W|^2
    reference = LogisticRegression(C=strength, tol=1e-8, max_iter=1000).fit(z, labels.numpy())
    np.testing.assert_allclose(ours.logits(h).softmax(1).numpy(), reference.predict_proba(z), atol=5e-3)
    assert (ours.weight[:, 4] == 0).all()
    assert ours.penalty == 0.01
    assert ours.images == 300


def test_the_penalty_is_strong_where_there_is_nothing_to_learn() -> None:
    h = noise(200, 100)
    free = fit_classifier(h, (h[:, 0] + 0.1 * noise(200, seed=2) > 0).long(), 2, penalties=(1e-3, 1.0))
    held = fit_classifier(h, (noise(200, seed=3) > 0).long(), 2, penalties=(1e-3, 1.0))
    assert (free.penalty, held.penalty) == (1e-3, 1.0)
    assert free.held_out_accuracy > 0.8
    assert held.held_out_accuracy < 0.7


def test_a_class_without_a_training_image_is_never_chosen() -> None:
    labels = torch.tensor([0, 2]).repeat(50)
    fitted = fit_classifier(noise(100, 5), labels, 4)
    assert set(fitted.logits(10 * noise(500, 5, seed=1)).argmax(1).tolist()) == {0, 2}


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(UserError, match="all of one class"):
        fit_classifier(noise(30, 5), torch.zeros(30, dtype=torch.long), 4)
