"""Readouts find what is linearly there, find nothing where nothing is, and never see the rows they predict."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from rcdm_core import readout
from rcdm_core.principal_axes import covariance, principal_coordinates
from rcdm_core.readout import accuracy, binary_scores, class_predictions, r2, ridge_predictions


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_ridge_recovers_a_linear_map_with_few_and_with_many_rows() -> None:
    weights = noise(60, 3, seed=1)
    for rows in (40, 400):
        features = noise(rows, 60)[:, :20] @ noise(20, 60, seed=2)  # rank 20: solvable by both
        targets = features @ weights
        predictions = ridge_predictions(features, targets)
        assert predictions.shape == targets.shape
        assert r2(targets, predictions) > 0.99


def test_ridge_of_noise_explains_nothing() -> None:
    assert abs(r2(noise(500, 9, seed=1), ridge_predictions(noise(500, 300), noise(500, 9, seed=1)))) < 0.05


def test_ridge_picks_a_penalty_for_each_target() -> None:
    features = noise(200, 100)
    clean, hidden = features @ noise(100, seed=1), features[:, 0] + 8 * noise(200, seed=2)
    both = ridge_predictions(features, torch.stack([clean, hidden], 1))
    assert r2(clean, both[:, 0]) > 0.98
    assert r2(hidden, both[:, 1]) > -0.1
    torch.testing.assert_close(both[:, 0], ridge_predictions(features, clean))


@pytest.mark.parametrize("dimension", [10, 50])
def test_ridge_from_moments_is_that_of_scikit_learn(dimension: int) -> None:
    x, y = noise(30, dimension).double(), noise(30, 2, seed=1).double()
    z, squares = principal_coordinates(x)
    train, rest = slice(0, 20), slice(20, None)
    rows = torch.cat([z, y, torch.ones(30, 1)], 1)[train]
    centred = z[train] - z[train].mean(0)
    largest = torch.linalg.eigvalsh(centred.T @ centred)[-1].item()
    penalties = torch.tensor([1e-3, 1e-1, 10.0], dtype=torch.double)
    scaled = StandardScaler().fit_transform(x.numpy()) * math.sqrt(29 / 30)  # its deviations divide by N, ours by N - 1
    predicted = readout._ridge(rows.T @ rows, z.shape[1], penalties)(z[rest])
    for ours, penalty in zip(predicted, penalties.tolist(), strict=True):
        fitted = Ridge(alpha=penalty * largest, solver="svd").fit(scaled[train], y.numpy()[train])
        np.testing.assert_allclose(ours.numpy(), fitted.predict(scaled[rest]), atol=1e-6)
    assert squares[-1] == pytest.approx(float(np.linalg.norm(scaled, 2) ** 2))


def test_near_duplicates_within_a_group_do_not_fool_the_choice_of_the_penalty() -> None:
    """Versions of an image that differ by little but noise: a fit may use the noise, a prediction may not explode."""
    images = noise(100, 200).repeat(6, 1)
    doses = torch.arange(6.0).repeat_interleave(100)
    versions = images + 1e-3 * noise(600, 200, seed=1)
    assert r2(doses, ridge_predictions(versions, doses, groups=torch.arange(600) % 100)) > -0.05


def test_predictions_do_not_see_their_own_fold() -> None:
    """A change of one row's target may not change the prediction for that row."""
    features, targets = noise(60, 10), noise(60, seed=1)
    before = ridge_predictions(features, targets)
    changed = targets.clone()
    changed[7] += 100
    after = ridge_predictions(features, changed)
    assert after[7] == before[7]
    assert not torch.equal(after, before)

    labels = (targets > 0).long()
    flipped = labels.clone()
    flipped[7] = 1 - flipped[7]
    assert binary_scores(features, labels)[7] == pytest.approx(binary_scores(features, flipped)[7].item(), abs=2e-3)


def test_groups_are_not_parted() -> None:
    """Rows that only a neighbour of the same group explains are unpredictable once groups stay together."""
    codes = noise(100, 200).repeat_interleave(2, 0)
    targets = noise(100, seed=1).repeat_interleave(2)
    assert r2(targets, ridge_predictions(codes, targets)) > 0.3
    assert r2(targets, ridge_predictions(codes, targets, groups=torch.arange(200) // 2)) < 0.1


@pytest.mark.parametrize("classes", [2, 5])
def test_logistic_regression_is_as_good_as_the_best_of_scikit_learn(classes: int) -> None:
    features = noise(600, 40) * torch.linspace(0.01, 10, 40)
    labels = ((features / torch.linspace(0.01, 10, 40)) @ noise(40, classes, seed=1) + noise(600, classes)).argmax(1)
    ours = accuracy(labels, class_predictions(features, labels))
    fold = readout._assign_folds(600, 5, 0, None).numpy()
    scaled = StandardScaler().fit_transform(features.numpy())
    best = 0.0
    for strength in (0.01, 0.1, 1.0, 10.0):
        predicted = np.empty(600, dtype=int)
        for k in range(5):
            model = LogisticRegression(C=strength, max_iter=500).fit(scaled[fold != k], labels.numpy()[fold != k])
            predicted[fold == k] = model.predict(scaled[fold == k])
        best = max(best, accuracy(labels, predicted))
    assert ours > best - 0.02


def test_classes_keep_their_names() -> None:
    labels = torch.tensor([3, 7]).repeat(50)
    features = torch.where(labels == 3, 1.0, -1.0)[:, None] + 0.01 * noise(100, 1)
    assert torch.equal(class_predictions(features, labels), labels)


def test_binary_scores_of_an_invariant_representation_are_chance_exactly() -> None:
    features = noise(100, 20)
    labels, groups = torch.arange(200) // 100, torch.arange(200) % 100
    scores = binary_scores(torch.cat([features, features]), labels, groups=groups)
    assert roc_auc_score(labels, scores) == 0.5


def test_binary_scores_find_a_planted_shift_and_nothing_in_noise() -> None:
    labels, groups = torch.arange(400) // 200, torch.arange(400) % 200
    features = noise(400, 50)
    assert roc_auc_score(labels, binary_scores(features, labels, groups=groups)) == pytest.approx(0.5, abs=0.08)
    features[labels == 1] += 2 * noise(1, 50, seed=5) / math.sqrt(50)
    assert roc_auc_score(labels, binary_scores(features, labels, groups=groups)) > 0.8


@pytest.mark.parametrize("features", [torch.zeros(50, 4), torch.ones(50, 200)])
def test_a_constant_representation_predicts_the_mean(features: torch.Tensor) -> None:
    targets = noise(50)
    assert ridge_predictions(features, targets).std() < 0.2
    assert binary_scores(features, torch.arange(50) % 2).abs().max() < 1


def test_unused_dimensions_change_nothing() -> None:
    features, targets = noise(80, 10), noise(80, seed=1)
    padded = torch.cat([features, torch.full((80, 5), 3.0)], 1)
    torch.testing.assert_close(ridge_predictions(padded, targets), ridge_predictions(features, targets))


def test_too_few_rows_for_the_folds() -> None:
    with pytest.raises(ValueError, match="independent rows"):
        ridge_predictions(noise(8, 3), noise(8), groups=torch.zeros(8))


def test_r2_of_the_mean_is_zero_and_of_the_truth_one() -> None:
    targets = noise(50, 2)
    assert r2(targets, targets) == 1
    assert r2(targets, targets.mean(0).expand(50, 2)) == pytest.approx(0, abs=1e-6)
    assert math.isnan(r2(torch.ones(5), noise(5)))


@pytest.mark.parametrize("dimension", [7, 60, 400])
def test_many_rows_are_read_in_parts_as_all_at_once(dimension: int, monkeypatch: pytest.MonkeyPatch) -> None:
    features = torch.cat([noise(300, dimension) + 50, torch.ones(300, 1)], 1)  # far off, and one column is constant
    targets = features[:, :3] @ noise(3, 2, seed=1) + noise(300, 2, seed=2)
    labels, groups = targets[:, 0] > targets[:, 0].median(), torch.arange(300) % 100

    def read() -> list[torch.Tensor]:
        return [
            ridge_predictions(features, targets, groups=groups),
            binary_scores(features, labels, groups=groups),
            *principal_coordinates(features)[1:],
            covariance(features),
        ]

    # With less penalty, where the solver stops in float32 is up to rounding.
    monkeypatch.setattr("rcdm_core.readout.LOGISTIC_PENALTIES", (1e-1, 1.0))
    whole = read()
    monkeypatch.setattr("rcdm_core.principal_axes.WHOLE", 100 * dimension)
    monkeypatch.setattr("rcdm_core.principal_axes.PART", 64 * dimension)
    for ours, theirs in zip(read(), whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
