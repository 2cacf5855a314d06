"""The course in one picture: what the three nets come to, as the README shows it."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cifar_keras import claims, results, style
from cifar_keras.style import INK, STYLES


def summary(runs: results.Runs) -> Figure:
    """Final test accuracy of the nets left, their test loss over the epochs right.

    Dots and lines are means over the seeds; bars and bands their 95% intervals (`claims.judge`),
    which a single seed lacks.

    Args:
        runs: of variants in `style.STYLES`, all of one length.
    """
    figure, (left, right) = style.subplots(6.4, 3.8, 1, 2)
    accuracies, losses = {}, {}
    for place, (variant, by_seed) in enumerate(runs.items()):
        look, histories = STYLES[variant], list(by_seed.values())
        accuracy = claims.judge([results.final(each, "test_accuracy") for each in histories])
        left.plot([accuracy.low, accuracy.high], [place] * 2, color=look.color, linewidth=3)
        left.plot(accuracy.mean, place, "o", color=look.color, markersize=10)
        text = f"{look.label}\n{accuracy.mean:.1%}"
        above = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center"}
        left.annotate(text, (accuracy.mean, place), color=INK, **above)

        epochs = results.column(histories[0], "epoch")
        by_epoch = zip(*(results.column(each, "test_loss") for each in histories), strict=True)
        loss = [claims.judge(values) for values in by_epoch]
        low, mean, high = zip(*((each.low, each.mean, each.high) for each in loss), strict=True)
        right.fill_between(epochs, low, high, color=look.color, alpha=0.25, linewidth=0)
        right.plot(epochs, mean, look.line, color=look.color, linewidth=2.5, label=look.label)
        accuracies[look.label] = accuracy.mean
        losses[look.label] = sum(results.final(each, "test_loss") for each in histories)
    left.set(yticks=[], ylim=(len(runs) - 0.7, -0.8), xlabel="final test accuracy")
    left.margins(x=0.65)
    left.spines["left"].set_visible(False)
    left.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))  # not 52.5%
    style.percent(left.xaxis)
    style.grid(left, "x")
    style.over_epochs(right, "test loss")
    figure.legend(loc="outside lower center", ncols=len(runs), handlelength=3, frameon=False)

    best, lowest = max(accuracies, key=accuracies.__getitem__), min(losses, key=losses.__getitem__)
    ending = "its final loss is lowest" if best == lowest else f"{lowest} has the lowest loss"
    figure.suptitle(f"{best[0].upper()}{best[1:]} is most accurate; {ending}")
    shares = ", ".join(f"{name} {share:.1%}" for name, share in accuracies.items())
    figure.set_label(
        f"Left, the final test accuracy with its 95% interval: {shares}. Right, the test loss over "
        f"{len(epochs)} epochs, with 95% bands. Means of {len(histories)} seeds; in the end the "
        f"loss of {lowest} is the lowest."
    )
    return figure
