"""Metrics and statistics against scikit-learn, scipy and sentence-transformers, to 1e-9, on random and on
adversarial inputs. `cargo xtask test` builds the example that is asked and sets MLXQ_EVALUATE to it."""

import json
import math
import os
import subprocess
import warnings

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import log_softmax, rel_entr, softmax
from sentence_transformers.sentence_transformer.evaluation import BinaryClassificationEvaluator
from sklearn import metrics

if "MLXQ_EVALUATE" not in os.environ:
    pytest.skip("needs the example `evaluate` of mlxq-eval (MLXQ_EVALUATE)", allow_module_level=True)


def evaluate(**parts):
    done = subprocess.run([os.environ["MLXQ_EVALUATE"]], input=json.dumps(parts, default=lambda x: x.tolist()),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def close(got, want, tolerance=1e-9):
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)


SEEDS = range(20)


def label_cases():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        classes = int(rng.integers(2, 7))
        rows = int(rng.integers(1, 300))
        references = rng.integers(0, classes, rows)
        right = rng.random(rows) < rng.random()
        yield classes, references, np.where(right, references, rng.integers(0, classes, rows))
    yield 2, np.array([1] * 9), np.array([1] * 9)  # one class
    yield 2, np.array([0, 1] * 5), np.array([0] * 10)  # one prediction
    yield 3, np.array([0, 1] * 5), np.array([2] * 10)  # a class that is never right
    yield 5, np.array([0, 3, 3]), np.array([3, 0, 3])  # classes that do not occur
    yield 2, np.array([0]), np.array([1])


@pytest.mark.parametrize("classes, references, predictions", list(label_cases()))
def test_classes(classes, references, predictions):
    got = evaluate(classes={"count": classes, "references": references, "predictions": predictions})["classes"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        close(got["accuracy"], metrics.accuracy_score(references, predictions))
        close(got["balanced_accuracy"], metrics.balanced_accuracy_score(references, predictions))
        close(got["macro_f1"], metrics.f1_score(references, predictions, average="macro"))
        close(got["micro_f1"], metrics.f1_score(references, predictions, average="micro"))
        close(got["matthews"], metrics.matthews_corrcoef(references, predictions))
        each = metrics.f1_score(references, predictions, labels=range(classes), average=None, zero_division=np.nan)
    present = np.isin(np.arange(classes), np.concatenate([references, predictions]))
    assert [value is not None for value in got["f1"]] == present.tolist()
    close([value for value in got["f1"] if value is not None], each[present])


@pytest.mark.parametrize("seed", SEEDS)
def test_predictions_outside_the_classes(seed):
    """scikit-learn's figures over the listed labels, where the others are a label that is not listed."""
    rng = np.random.default_rng(seed)
    references, predictions = rng.integers(0, 3, 120), rng.integers(0, 4, 120)
    said = [None if prediction == 3 else int(prediction) for prediction in predictions]
    got = evaluate(classes={"count": 3, "references": references, "predictions": said})["classes"]
    listed = {"labels": [0, 1, 2]}
    close(got["macro_f1"], metrics.f1_score(references, predictions, average="macro", **listed))
    close(got["micro_f1"], metrics.f1_score(references, predictions, average="micro", **listed))
    close(got["balanced_accuracy"], metrics.recall_score(references, predictions, average="macro", **listed))
    close(got["matthews"], metrics.matthews_corrcoef(references, predictions))


@pytest.mark.parametrize("seed", SEEDS)
def test_sets_of_labels(seed):
    rng = np.random.default_rng(seed)
    references, predictions = rng.random((2, 60, 5)) < rng.random()
    sets = [[np.flatnonzero(row).tolist() for row in side] for side in (references, predictions)]
    got = evaluate(sets={"references": sets[0], "predictions": sets[1]})["sets"]["micro_f1"]
    if got is None:
        assert not references.any() and not predictions.any()
    else:
        close(got, metrics.f1_score(references, predictions, average="micro"))


def score_cases():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        rows = int(rng.integers(1, 200))
        relevant = rng.random(rows) < rng.random()
        # Many equal scores in every other case.
        scores = rng.normal(size=rows) + relevant
        yield (np.round(scores) if seed % 2 else scores), relevant
    yield np.ones(7), np.array([1, 0, 0, 1, 0, 0, 0], bool)  # all equal
    yield np.array([.9, .8]), np.array([0, 0], bool)  # nothing relevant
    yield np.array([.9, .8]), np.array([1, 1], bool)  # everything
    yield np.array([.1, .9]), np.array([1, 0], bool)  # the wrong way round
    yield np.array([np.nextafter(.5, 1), .5]), np.array([1, 0], bool)  # no number between the two


@pytest.mark.parametrize("scores, relevant", list(score_cases()))
def test_scores(scores, relevant):
    got = evaluate(scores={"scores": scores, "relevant": relevant})["scores"]
    if relevant.any():
        close(got["average_precision"], metrics.average_precision_score(relevant, scores))
    else:
        assert got["average_precision"] is None
    accuracy, threshold = BinaryClassificationEvaluator.find_best_acc_and_threshold(scores, relevant.astype(int), True)
    close(got["best_accuracy"], accuracy)
    close(got["accuracy_there"], accuracy)
    if got["best_threshold"] is None:  # infinite, which JSON has not
        assert threshold > scores.max()
    else:
        close(got["best_threshold"], threshold)


def number_cases():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=int(rng.integers(3, 300)))
        y = x + rng.normal(size=len(x)) * 3
        yield (np.round(x), np.round(y)) if seed % 2 else (1e6 + x, y)
    yield np.arange(5.0), -np.arange(5.0)
    yield np.array([1, 1, 1, 1e9]), np.array([1, 2, 3, 4.0])


@pytest.mark.parametrize("x, y", list(number_cases()))
def test_correlations(x, y):
    got = evaluate(numbers=[x, y])["numbers"]
    close(got["pearson"], stats.pearsonr(x, y).statistic)
    close(got["spearman"], stats.spearmanr(x, y).statistic)
    assert got["ranks"] == stats.rankdata(x).tolist()


@pytest.mark.parametrize("x", [np.full(5, .1), np.full(3, 1e9), np.zeros(1)])
def test_constant_numbers_have_no_correlation(x):
    got = evaluate(numbers=[x, np.arange(float(len(x)))])["numbers"]
    assert got["pearson"] is None and got["spearman"] is None


@pytest.mark.parametrize("seed", SEEDS)
def test_rankings(seed):
    rng = np.random.default_rng(seed)
    gains = rng.choice([0, 0, 0, 1, 2], 40).astype(float)
    scores = rng.permutation(40.0 + np.arange(40))
    order = np.argsort(-scores)
    judged = gains[gains > 0]
    got = evaluate(ranking={"gains": gains[order], "judged": judged, "k": 10})["ranking"]
    close(got["ndcg"], metrics.ndcg_score([gains], [scores], k=10))
    close(got["recall"], (gains[order][:10] > 0).sum() / len(judged))


@pytest.mark.parametrize("seed", SEEDS)
def test_quantiles(seed):
    values = np.random.default_rng(seed).lognormal(size=1 + 17 * seed)
    at = [0, .01, .05, .25, .5, .9, .95, .99, 1]
    got = evaluate(quantiles=[values, at])["quantiles"]
    close(got["linear"], np.quantile(values, at))
    close(got["nearest_rank"], np.quantile(values, at, method="inverted_cdf"))


@pytest.mark.parametrize("seed", SEEDS)
def test_ratios(seed):
    ratios = np.exp(np.random.default_rng(seed).normal(size=2 + seed, scale=.1))
    got, logs, count = evaluate(ratios=ratios)["ratios"], np.log(ratios), len(ratios)
    close(got["value"], stats.gmean(ratios))
    for key, level in (("bounds", .9), ("two_sided", .95)):
        interval = stats.t.interval(level, count - 1, loc=logs.mean(), scale=stats.sem(logs))
        close(got[key], np.exp(interval), 1e-8)
    close(got["median"], np.exp(np.median(logs)))
    rank = int(stats.binom.ppf(.025, count, .5))
    expected = [np.sort(ratios)[rank - 1], np.sort(ratios)[count - rank]] if count >= 6 else None
    assert got["median_interval"] == expected


def score_bound(lost, gained, rows, z, upper):
    """Tango's bound with the nuisance parameter from a numerical maximum of the likelihood."""

    def score(drop):
        def loss(q):  # the share gained; that lost is q + drop
            terms = ((lost, q + drop), (gained, q), (rows - lost - gained, 1 - 2 * q - drop))
            return -sum(count * math.log(max(share, 1e-300)) for count, share in terms if count)

        low, high = max(0, -drop), (1 - drop) / 2
        q = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
        return (lost - gained - rows * drop) / math.sqrt(rows * (2 * q + drop * (1 - drop)))

    value = (lost - gained) / rows
    ends = (value + 1e-9, 1 - 1e-9) if upper else (-1 + 1e-9, value - 1e-9)
    return optimize.brentq(lambda drop: score(drop) + (z if upper else -z), *ends, xtol=1e-12)


@pytest.mark.parametrize("lost, gained, rows", [
    (0, 0, 10), (5, 5, 40), (1, 9, 100), (10, 3, 872), (0, 6, 100), (60, 35, 1500), (120, 80, 9815),
    (900, 1100, 4000), (40_000, 39_000, 1_000_000),
])
def test_paired_answers(lost, gained, rows):
    got = evaluate(paired=[lost, gained, rows])["paired"]
    both = lost + gained
    if both:
        exact = stats.binomtest(lost, both).pvalue
        close(got["exact"], exact)
        close(got["mid_p"], exact - stats.binom.pmf(min(lost, gained), both, .5))
        close(got["one_sided"], stats.binomtest(lost, both, alternative="greater").pvalue)
    else:
        assert got["exact"] == got["mid_p"] == got["one_sided"] == 1
    if 0 < lost < rows and 0 < gained and rows < 1_000_000:
        for key, z in (("bounds", stats.norm.ppf(.95)), ("two_sided", stats.norm.ppf(.975))):
            # The numerical maximum is known to about the root of a double's precision.
            expected = [score_bound(lost, gained, rows, z, upper) for upper in (False, True)]
            close(got[key], expected, 1e-7)


@pytest.mark.parametrize("right, rows", [(0, 10), (10, 10), (81, 100), (8047, 9815), (1, 1)])
def test_wilson(right, rows):
    for level in (.5, .9, .95, .999):
        interval = stats.binomtest(right, rows).proportion_ci(level, method="wilson")
        close(evaluate(share=[right, rows, level])["share"], interval)


def test_holm():
    """By the definition: scipy has no Holm. Rejecting step by step gives the same as the adjusted values."""
    for seed in SEEDS:
        values = np.random.default_rng(seed).random(1 + seed) ** 2
        adjusted = np.array(evaluate(p_values=values)["p_values"])
        for level in (.01, .05, .2, .5):
            rejected = np.zeros(len(values), bool)
            for place, at in enumerate(np.argsort(values)):
                if values[at] > level / (len(values) - place):
                    break
                rejected[at] = True
            assert ((adjusted <= level) == rejected).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_fidelity_of_logits(seed):
    rng = np.random.default_rng(seed)
    base = (rng.normal(size=(50, 4)) * 10 ** rng.integers(0, 3)).astype(np.float32)
    converted = (base + rng.normal(size=base.shape, scale=.1)).astype(np.float32)
    got = evaluate(logits=[base.ravel(), converted.ravel(), 4])["logits"]
    wide = base.astype(float), converted.astype(float)
    p, q = (softmax(side, axis=1) for side in wide)
    logs = [log_softmax(side, axis=1) for side in wide]
    close(got["kl"], np.maximum((p * (logs[0] - logs[1])).sum(1), 0))
    if np.abs(base).max() < 20:
        close(got["kl"], rel_entr(p, q).sum(1))
    assert got["agreed"] == (base.argmax(1) == converted.argmax(1)).sum()
    close(got["largest_probability_difference"], np.abs(p - q).max())
    moved = (q - p)[np.arange(50), base.argmax(1)]
    close(got["top_probability_mean"], moved.mean())
    close(got["top_probability_rms"], np.sqrt((moved ** 2).mean()))
    close(got["largest_logit_difference"], np.abs(wide[0] - wide[1]).max())


@pytest.mark.parametrize("seed", SEEDS)
def test_fidelity_of_embeddings(seed):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(70, 16)).astype(np.float32)
    converted = (base + rng.normal(size=base.shape, scale=.05)).astype(np.float32)
    got = evaluate(embeddings=[base.ravel(), converted.ravel(), 16])["embeddings"]
    a, b = base.astype(float), converted.astype(float)
    lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    close(got["cosines"], (a * b).sum(1) / lengths[0] / lengths[1])
    close(got["relative_error"], (np.linalg.norm(a - b, axis=1) / lengths[0]).mean())
    near = [side @ side.T / np.outer(length, length) for side, length in zip((a, b), lengths)]
    below = np.tril_indices(70, -1)
    close(got["pair_rank_correlation"], stats.spearmanr(near[0][below], near[1][below]).statistic)
    for side in near:
        np.fill_diagonal(side, -2)
    nearest = [np.argsort(-side, axis=1)[:, :10] for side in near]
    common = [len(set(x) & set(y)) for x, y in zip(*nearest)]
    close(got["neighbour_overlap"], np.mean(common) / 10)
