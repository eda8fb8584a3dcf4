"""Reference values of packages/reanchor/src/stats, made with scikit-learn, scipy, numpy and mpmath on invented data.

    python make_stats.py --out ../fixtures/stats/reference.json

Needs scipy 1.17 and scikit-learn 1.9 besides numpy and mpmath (which come with torch). Prints how far scikit-learn's L1
solver is from the exact optimum. All inputs are in the file, so that the tests need no generator of numpy's.
"""

import argparse
import json
import pathlib

import mpmath as mp
import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression

mp.mp.dps = 40


def l1_exact(x, s, b, c, start):
    """The minimum of |w|_1 + c (sum s log(1 + exp(x w)) - b w) given the signs of `start`, by Newton in 40 digits."""
    signs = [int(np.sign(v)) for v in start]
    active = [j for j, v in enumerate(signs) if v]
    w = [mp.mpf(float(v)) for v in start]

    def probabilities():
        return [1 / (1 + mp.e ** -sum(mp.mpf(float(xi[j])) * w[j] for j in active)) for xi in x]

    def gradient(j, p):
        return c * (sum(mp.mpf(float(si)) * pi * mp.mpf(float(xi[j])) for si, pi, xi in zip(s, p, x)) - mp.mpf(float(b[j])))

    for _ in range(8 if active else 0):
        p = probabilities()
        g = mp.matrix([gradient(j, p) + signs[j] for j in active])
        h = mp.matrix(len(active), len(active))
        for r, j in enumerate(active):
            for q, l in enumerate(active):
                h[r, q] = c * sum(float(si) * pi * (1 - pi) * float(xi[j]) * float(xi[l]) for si, pi, xi in zip(s, p, x))
        step = mp.lu_solve(h, -g)
        for r, j in enumerate(active):
            w[j] += step[r]
    p = probabilities()
    for j, sign in enumerate(signs):
        if sign == 0:
            assert abs(gradient(j, p)) <= 1
        else:
            assert mp.sign(w[j]) == sign and abs(gradient(j, p) + sign) < 1e-25
    return [float(v) for v in w]


def l1_cases(rng):
    n, k = 120, 4
    x = np.round(rng.normal(size=(n, k)) * [1, 0.5, 2, 1], 6)
    y = np.round(1 / (1 + np.exp(-(x @ [1.0, 0.0, -0.4, 0.05] + rng.normal(size=n)))), 6)
    s = np.round(rng.uniform(0.1, 2, size=n), 6)
    cases, worst = [], 0.0
    for c in (0.02, 0.3, 2.782559402207126, 21.54434690031882, 1e4):
        fit = LogisticRegression(penalty="l1", solver="liblinear", C=c, fit_intercept=False, tol=1e-12, max_iter=100_000)
        fit.fit(np.vstack([x, x]), np.r_[np.ones(n), np.zeros(n)], sample_weight=np.r_[s * y, s * (1 - y)])
        start = np.where(np.abs(fit.coef_[0]) < 1e-9, 0, fit.coef_[0])
        w = l1_exact(x, s, (s * y) @ x, c, start)
        worst = max(worst, float(np.max(np.abs(np.array(w) - fit.coef_[0]))))
        cases.append({"C": c, "coefficients": w})
    print(f"scikit-learn's liblinear is within {worst:.1e} of the optimum")
    return {"features": x.tolist(), "targets": y.tolist(), "weights": s.tolist(), "cases": cases}


def bradley_terry(rng):
    players = ["a", "b", "c", "d"]
    strength = np.array([0.0, 0.6, -0.5, 1.1])
    battles = []
    for _ in range(240):
        i, j = rng.choice(4, size=2, replace=False)
        covariates = np.round(rng.normal(size=2), 6)
        p = 1 / (1 + np.exp(-(strength[i] - strength[j] + covariates @ [0.5, -0.2])))
        score = 0.5 if rng.uniform() < 0.2 else float(rng.uniform() < p)
        weight = float(rng.choice([1, 3]))
        battles.append({"first": players[i], "second": players[j], "score": score, "weight": weight, "covariates": covariates.tolist()})
    plain, controlled = [], []
    for battle in battles:
        row = np.zeros(4)
        row[players.index(battle["first"])] += 1
        row[players.index(battle["second"])] -= 1
        plain.append(row[1:])
        controlled.append(np.r_[row[1:], battle["covariates"]])
    score = np.array([battle["score"] for battle in battles])
    weight = np.array([battle["weight"] for battle in battles])

    def fit(rows):
        # A very large C is no penalty to 1e-10; lbfgs then stops at its own tolerance, so Newton goes on from there.
        rows = np.array(rows)
        lr = LogisticRegression(C=1e12, fit_intercept=False, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
        lr.fit(np.vstack([rows, rows]), np.r_[np.ones(len(rows)), np.zeros(len(rows))], sample_weight=np.r_[weight * score, weight * (1 - score)])
        w = lr.coef_[0].astype(np.longdouble)
        for _ in range(5):
            p = 1 / (1 + np.exp(-(rows @ w)))
            g = rows.T @ (weight * (score - p))
            h = (rows.T * (weight * p * (1 - p))) @ rows
            w = w + np.linalg.solve(h.astype(float), g.astype(float))
        assert np.max(np.abs(w - lr.coef_[0])) < 1e-6
        return [float(v) for v in w]

    return {"players": players, "battles": battles, "ratings": [0, *fit(plain)], "controlled": [0, *fit(controlled)]}


def improvement(rng):
    """Ratings on three criteria that share a level of the prompt and of the answer; Y lacks some, X has some twice."""
    prompts = rng.normal(size=40)

    def answers(of, shift):
        levels = 5.5 + shift + prompts[of] + 1.5 * rng.normal(size=len(of))
        ratings = np.clip(np.round(levels[:, None] + rng.normal(size=(len(of), 3))), 1, 10).astype(int)
        return [{"cluster": f"p{p}", "scores": r} for p, r in zip(of.tolist(), ratings.tolist())]

    x, y = answers(np.r_[np.arange(40), np.arange(8)], 0.6), answers(np.arange(34), 0.0)

    def probability(x, y):
        x, y = np.array(x)[:, None, :], np.array(y)[None, :, :]
        return float(((x > y) + (x == y) / 2).mean())

    scores = [[one["scores"] for one in some] for some in (x, y)]
    by_scipy = [stats.mannwhitneyu(a, b).statistic / (len(x) * len(y)) for a, b in zip(np.array(scores[0]).T, np.array(scores[1]).T)]
    assert abs(np.mean(by_scipy) - probability(*scores)) < 1e-12
    own = [[[one["scores"] for one in some if one["cluster"] == f"p{p}"] for p in range(40)] for some in (x, y)]
    draws = [probability(*(sum((side[p] for p in drawn), []) for side in own)) for drawn in rng.integers(40, size=(20_000, 40))]
    return {"x": x, "y": y, "probability": probability(*scores), "low": float(np.quantile(draws, 0.025)), "high": float(np.quantile(draws, 0.975))}


def clusters(rng):
    """Values in 25 clusters of 1 to 6 that share a level, and what drawing clusters makes of their mean."""
    values = [np.round(0.3 + rng.normal() + 0.5 * rng.normal(size=size), 3) for size in rng.integers(1, 7, size=25)]
    sums, sizes = np.array([v.sum() for v in values]), np.array([len(v) for v in values])
    drawn = rng.integers(25, size=(100_000, 25))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    signs = int((sums > 0).sum())
    return {
        "values": [v.tolist() for v in values],
        "mean": float(sums.sum() / sizes.sum()),
        "low": float(np.quantile(means, 0.025)),
        "high": float(np.quantile(means, 0.975)),
        "p": float(2 * min((means <= 0).mean(), (means >= 0).mean())),
        "signs": float(stats.binomtest(signs, 25).pvalue),
    }


def student(rng):
    x, y = np.round(rng.normal(0.4, 1, size=7), 3), np.round(rng.normal(0, 2, size=4), 3)
    one, two = stats.ttest_1samp(x, 0), stats.ttest_ind(x, y, equal_var=False)
    result = lambda r: {"p": float(r.pvalue), "interval": list(map(float, r.confidence_interval(0.9)))}
    degrees = (1, 2, 3, 4.7, 11, 60, 1000)
    return {
        "tails": [[t, d, float(2 * stats.t.sf(t, d))] for t in (0.01, 0.5, 1.3, 2.5, 8, 300) for d in degrees],
        "quantiles": [[p, d, float(stats.t.ppf(p, d))] for p in (0.6, 0.95, 0.975, 0.9995) for d in degrees],
        "x": x.tolist(), "y": y.tolist(), "mean": result(one), "difference": result(two),
    }


def paired(rng):
    differences = np.round(rng.normal(0.12, 0.6, size=80), 3)
    means = rng.choice(differences, size=(100_000, 80)).mean(axis=1)
    return {
        "differences": differences.tolist(),
        "low": float(np.quantile(means, 0.025)),
        "high": float(np.quantile(means, 0.975)),
        "p": float(2 * min((means <= 0).mean(), (means >= 0).mean())),
        "mean": float(differences.mean()),
        "sem": float(stats.sem(differences)),
        "quantiles": [[q, float(np.quantile(differences, q))] for q in (0, 0.05, 0.3, 0.5, 0.977, 1)],
    }


def arena(rng):
    """Arena-Hard 2.0 on invented verdicts: strong verdicts as three rows, features as in its show_result.py, then an
    unpenalised logistic regression; `controlled` is read at the mean difference in style, `equal` at none."""
    labels = ["A>>B", "A>B", "A=B", "B>A", "B>>A"]
    models = ["m1", "m2", "m3"]
    styles = {m: rng.integers([40, 0, 0, 0], [900, 6, 20, 12], size=(40, 4)).tolist() for m in ["base", *models]}
    judgments, rows, scores, features = [], [], [], []
    for i, model in enumerate(models):
        for q in range(40):
            games = [labels[j] for j in rng.choice(5, size=2, p=np.array([[3, 4, 2, 4, 5], [5, 4, 2, 4, 3]])[i % 2] / 18)]
            judgments.append({"uid": f"q{q}", "category": "hard_prompt", "model": model, "baseline": "base", "games": [{"score": g} for g in games]})
            first = {"A>>B": [0] * 3, "A>B": [0], "A=B": [0.5], "B>A": [1], "B>>A": [1] * 3}[games[0]]
            second = {"A>>B": [1] * 3, "A>B": [1], "A=B": [0.5], "B>A": [0], "B>>A": [0] * 3}[games[1]]
            m, b = np.array(styles[model][q], float), np.array(styles["base"][q], float)
            dm, db = m[1:] / (m[0] + 1), b[1:] / (b[0] + 1)
            for score in first + second:
                rows.append(np.eye(3)[i])
                scores.append(score)
                features.append(np.r_[(m[0] - b[0]) / (m[0] + b[0]), (dm - db) / (dm + db + 1)])
    rows, scores, features = np.array(rows), np.array(scores), np.array(features)

    def fit(x):
        lr = LogisticRegression(C=1e12, fit_intercept=False, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
        lr.fit(np.vstack([x, x]), np.r_[np.ones(len(x)), np.zeros(len(x))], sample_weight=np.r_[scores, 1 - scores])
        return lr.coef_[0]

    deviation = features.std(axis=0, ddof=1)
    win_rate = lambda r: (100 / (1 + np.exp(-r))).tolist()
    centered = fit(np.c_[rows, (features - features.mean(axis=0)) / deviation])
    equal = fit(np.c_[rows, features / deviation])
    plain = [100 * float(scores[rows[:, i] == 1].mean()) for i in range(3)]
    return {
        "styles": styles, "judgments": judgments, "plain": plain, "controlled": win_rate(centered[:3]),
        "equal": win_rate(equal[:3]), "coefficients": centered[3:].tolist(),
    }


def length_control(rng):
    """AlpacaEval's length-controlled win rate on invented lengths and preferences, from its definition, to the optimum."""
    n = 30
    difficulty = np.round(rng.normal(size=n), 6)
    base = rng.integers(200, 3000, size=n)
    gamed = [np.round(base * f).astype(int) for f in (1.6, 0.5)]
    own = np.maximum(1, base + rng.integers(-900, 700, size=n))
    preference = np.round(1 + 1 / (1 + np.exp(-(0.8 + difficulty + rng.normal(size=n)))), 6)
    gamed_y = [np.round(rng.uniform(size=n), 6) for _ in gamed]

    def squash(d):
        return np.tanh(d / d.std(ddof=1))

    x = [np.c_[squash(base - own), difficulty, np.ones(n)]]
    x += [np.c_[squash(base - g), difficulty, np.zeros(n)] for g in gamed]
    y = np.r_[preference - 1, gamed_y[0], gamed_y[1]]
    s = np.r_[np.ones(n), np.full(2 * n, 0.1)]
    x = np.vstack(x)
    c = 2.782559402207126
    fit = LogisticRegression(penalty="l1", solver="liblinear", C=c, fit_intercept=False, tol=1e-12, max_iter=100_000)
    fit.fit(np.vstack([x, x]), np.r_[np.ones(len(x)), np.zeros(len(x))], sample_weight=np.r_[s * y, s * (1 - y)])
    w = l1_exact(x, s, (s * y) @ x, c, np.where(np.abs(fit.coef_[0]) < 1e-9, 0, fit.coef_[0]))
    rate = 100 / (1 + np.exp(-(w[1] * difficulty + w[2])))
    return {
        "difficulty": difficulty.tolist(), "preference": preference.tolist(), "len1": base.tolist(), "len2": own.tolist(),
        "gamed": {
            "lengths": [{"len1": base.tolist(), "len2": g.tolist()} for g in gamed],
            "s1": float(sum((gy * squash(base - g)).sum() for gy, g in zip(gamed_y, gamed))),
            "s2": float(sum((gy * difficulty).sum() for gy in gamed_y)),
        },
        "C": c, "weights": w, "winRate": float(rate.mean()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    rng = np.random.default_rng(20260101)
    shares = [(0, 10), (10, 10), (1, 10), (37, 80), (412, 805), (5, 100_000)]
    tests = [(0, 0, 0.5), (3, 10, 0.5), (5, 10, 0.5), (60, 100, 0.5), (700, 1500, 0.5), (2, 30, 0.2), (9, 12, 0.9), (4, 7, 1.0)]
    reference = {
        "wilson": [
            {"k": k, "n": n, "level": level, "interval": list(stats.binomtest(k, n).proportion_ci(level, method="wilson"))}
            for k, n in shares
            for level in (0.9, 0.95, 0.999)
        ],
        "binomial": [{"k": k, "n": n, "p": p, "value": float(stats.binomtest(k, n, p).pvalue) if n else 1.0} for k, n, p in tests],
        "normal": [[p, float(stats.norm.ppf(p))] for p in (1e-6, 0.025, 0.3, 0.5, 0.9, 0.975, 0.9995)],
        "l1": l1_cases(rng),
        "bradleyTerry": bradley_terry(rng),
        "improvement": improvement(rng),
        "paired": paired(rng),
        "clusters": clusters(rng),
        "student": student(rng),
        "arena": arena(rng),
        "lengthControl": length_control(rng),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(reference, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
