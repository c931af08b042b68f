#!/usr/bin/env python3
"""What more time would add to a fit that trained, extrapolated from its loss curve: an estimate, no measurement.

    more_training.py REPORT.json [--hours 8]

REPORT.json is that of `edgellm fit --effort best` (or another fit that trained its grid). A power of the step is fitted to the
divergence of the training's steps, those of the rising learning rate left out. Its exponent, and the range that its standard error
leaves, carries the divergence on windows that were not trained on from the epochs done to those that the hours are enough for.
What it cannot know: that a longer training falls more slowly with its learning rate, and that repeated text wears out.
"""
import argparse
import json
import math

WARM_UP_STEPS = 4


def power_law(values):
    """Exponent of value = a step^exponent by least squares of logarithms, and its standard error."""
    points = [(math.log(i + 1), math.log(v)) for i, v in enumerate(values) if i >= WARM_UP_STEPS]
    n = len(points)
    mean_x, mean_y = (sum(p[i] for p in points) / n for i in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    exponent = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    left = sum((y - mean_y - exponent * (x - mean_x)) ** 2 for x, y in points)
    return exponent, math.sqrt(left / (n - 2) / spread)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("report")
    ap.add_argument("--hours", type=float, default=8)
    a = ap.parse_args()
    report = json.load(open(a.report))
    training = report.get("training")
    if not training or not training["epochs"]:
        raise SystemExit(f"{a.report}: this fit did not train its grid; give the report of one with --effort best")
    if len(training["step_kl"]) < WARM_UP_STEPS + 8:
        raise SystemExit(f"{a.report}: {len(training['step_kl'])} steps are too few to extrapolate from; give it more text")
    seconds = {}
    for stage in report["stages"]:
        seconds[stage["stage"]] = seconds.get(stage["stage"], 0) + stage["seconds"]
    n_epochs = len(training["epochs"])
    of_training = seconds["training on the grid"]
    left = a.hours * 3600 - (sum(seconds.values()) - of_training)
    n_more = int(left / (of_training / n_epochs))
    print(f"{n_epochs} epoch(s) of {training['tokens']} tokens took {of_training / 60:.0f} of {sum(seconds.values()) / 60:.0f} minutes; "
          f"{a.hours:g} hours are enough for {max(n_more, 0)}")
    kept = training["epochs"][training["best_epoch"] - 1]["held_kl"] if training["best_epoch"] else training["held_kl"]
    print(f"divergence on windows not trained on: {training['held_kl_before']:.4f} before, {kept:.4f} after")
    if n_more <= n_epochs:
        return
    exponent, error = power_law(training["step_kl"])
    factor = n_more / n_epochs
    low, middle, high = (kept * factor ** min(0.0, exponent + s * error) for s in (-1, 0, 1))
    print(f"extrapolated: steps fall as step^{exponent:.3f} (standard error {error:.3f}), so {n_more} epochs might reach "
          f"{middle:.4f} ({low:.4f} to {high:.4f}). Not measured.")


main()
