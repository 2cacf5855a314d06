"""The command line: `python -m cifar_keras COMMAND`. It parses, calls and prints, no more.

Exit status: 0 done, 1 a check found damage or a target was missed, 2 something the reader can put
right, 130 Ctrl-C.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

from cifar_keras.errors import UserError

# Each command imports what it needs when it runs, so that --help and `data` start quickly.


def data_fetch(args: argparse.Namespace) -> int:
    """Make sure that a verified copy of the full CIFAR-10 is here; download it if need be."""
    from cifar_keras import sources

    started = time.monotonic()
    _, path = sources.load()
    print(f"full CIFAR-10, verified: {path} ({time.monotonic() - started:.1f} s)")
    return 0


def data_verify(args: argparse.Namespace) -> int:
    """Check the embedded sample and every copy of the full CIFAR-10 on this computer."""
    from cifar_keras import data, sources

    checks = {f"{data.SAMPLE_FOLDER} (embedded sample)": data.load_sample}
    checks |= {str(path): partial(sources.read_verified, path) for path in sources.copies()}
    damaged = False
    for place, check in checks.items():
        try:
            check()
            print(f"verified {place}")
        except UserError as error:
            print(f"damaged  {error}")
            damaged = True
    if len(checks) == 1:
        print("absent   the full CIFAR-10 (`python -m cifar_keras data fetch` gets it)")
    return 1 if damaged else 0


def data_where(args: argparse.Namespace) -> int:
    """Say which data would be used, and what `data fetch` would do; download nothing."""
    from cifar_keras import data, sources

    print(f"sample: {data.SAMPLE_FOLDER}")
    if found := sources.find():
        print(f"full:   {found[1]}")
    else:
        downloads = ", or else ".join(sources.DOWNLOADS)
        print(f"full:   none; `data fetch` would save {sources.cache_path()} from {downloads}")
    return 0


def compare(args: argparse.Namespace) -> int:
    """Train the three models, print the comparison and save it as a picture."""
    from cifar_keras import environment, plots, results, study, training

    out = Path(args.out or f"runs/{args.data}-{args.epochs}-epochs-seed-{args.seed}")
    print(environment.describe())
    recipe = training.Recipe(epochs=args.epochs)
    runs = study.run(study.Study(out, args.data, recipe, seeds=(args.seed,)))
    print(results.table(runs))
    picture = out / "comparison.png"
    plots.save(plots.comparison(runs, results.read_reference()), picture)
    print(f"picture: {picture}\nruns:    {out}")
    return 0


def train(args: argparse.Namespace) -> int:
    """Train one of the fast nets, past the reference project's accuracy, and measure it."""
    import dataclasses

    from cifar_keras import environment, results, study

    print(environment.describe())
    out = Path(args.out or f"runs/{args.name}-{args.data}")
    described = study.load(args.name)
    study.run(
        dataclasses.replace(
            described, folder=out, data=args.data, seeds=(args.seed,), keep_weights=(args.seed,)
        )
    )
    run = results.Run.of(out, args.name, args.seed).record
    accuracy = run["summary"]["last_accuracy"]
    print(f"run: {out}")
    print(f"test accuracy {run['accuracy_both_ways']:.4f} with mirror images")
    print(f"test accuracy {accuracy:.4f}")
    print(f"{run['seconds']:.0f} seconds")
    print(f"{run['trainable_parameters']:,} parameters")
    if args.target is not None and accuracy < args.target:
        print(f"the test accuracy is below the target, {args.target}", file=sys.stderr)
        return 1
    return 0


def study_run(args: argparse.Namespace) -> int:
    """Train what the study lacks. Start it in several terminals and they share the work."""
    from cifar_keras import environment, study

    print(environment.describe())
    study.run(study.load(args.name))
    return 0


def study_status(args: argparse.Namespace) -> int:
    """Say of every run whether it is finished, in training, interrupted or not begun."""
    from cifar_keras import environment, study  # noqa: F401  quietly

    print("\n".join(study.status(study.load(args.name))))
    return 0


def study_verify(args: argparse.Namespace) -> int:
    """Measure the shipped weights again, and compute again what the records say."""
    from cifar_keras import environment, study, verification  # noqa: F401  quietly

    checked = problems = 0
    for name in [args.name] if args.name else files.studies():
        print(f"study {name}")
        for as_recorded, line in verification.verify(study.load(name)):
            print(f"  {line}")
            checked += " verified, " in line
            problems += not as_recorded
    print(f"{checked} runs are as recorded, {problems} problems")
    if not checked and not problems:
        print("nothing was checked: no run is recorded", file=sys.stderr)
    return 1 if problems or not checked else 0


def _at_least(minimum: int):
    def integer(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        return number

    return integer


def main(argv: list[str] | None = None) -> int:
    """Run one command; argv is sys.argv[1:] by default. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m cifar_keras", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    data = commands.add_parser("data", help="the full CIFAR-10: fetch it, verify it, find it")
    actions = data.add_subparsers(required=True, metavar="ACTION")
    for name, run in [("fetch", data_fetch), ("verify", data_verify), ("where", data_where)]:
        action = actions.add_parser(name, help=run.__doc__, description=run.__doc__)
        action.set_defaults(run=run)

    command = commands.add_parser("compare", help=compare.__doc__, description=compare.__doc__)
    command.add_argument("--epochs", type=_at_least(1), default=12, help="per model (%(default)s)")
    command.add_argument("--seed", type=_at_least(0), default=0, help="%(default)s")
    command.add_argument("--data", choices=["sample", "full"], default="sample", help="%(default)s")
    command.add_argument("--out", help="folder for histories and picture (runs/…)")
    command.set_defaults(run=compare)

    command = commands.add_parser("train", help=train.__doc__, description=train.__doc__)
    command.add_argument("name", choices=["compact", "quick", "strong"])
    command.add_argument("--seed", type=_at_least(0), default=0, help="%(default)s")
    command.add_argument("--data", choices=["sample", "full"], default="full", help="%(default)s")
    command.add_argument("--target", type=float, help="exit with status 1 below this accuracy")
    command.add_argument("--out", help="folder for the run (runs/…)")
    command.set_defaults(run=train)

    studies = commands.add_parser("study", help="recorded experiments: run, status, verify")
    actions = studies.add_subparsers(required=True, metavar="ACTION")
    for name, run in [("run", study_run), ("status", study_status), ("verify", study_verify)]:
        action = actions.add_parser(name, help=run.__doc__, description=run.__doc__)
        action.add_argument("name", metavar="NAME", help="of a file studies/NAME.toml")
        action.set_defaults(run=run)
    command = commands.add_parser("verify", help="the same for all studies")
    command.set_defaults(run=study_verify, name=None)

    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
