"""The command line: `python -m cifar_keras COMMAND`. Trains, compares, verifies and shows.

Exit status: 0 done, 1 a check found damage or a target was missed, 2 something the reader can put
right, 130 Ctrl-C, 141 nobody reads the output any more.
"""

import argparse
import contextlib
import gc
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cifar_keras import __version__, files, machine, terminal
from cifar_keras.errors import UserError

# Each command imports what it needs when it runs, so that --help and `data` start quickly; whether
# it has what it needs of the repository is asked before that.


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
    files.require_checkout()
    out = files.named(args.out or f"runs/{args.data}-{args.epochs}-epochs-seed-{args.seed}")
    from cifar_keras import environment, plots, results, study, style, training

    print(environment.describe())
    recipe = training.Recipe(epochs=args.epochs)
    runs = study.run(study.Study(out, args.data, recipe, seeds=(args.seed,)))
    _require_all(runs, args.seed, out)
    print(results.table(runs))
    picture = out / "comparison.png"
    style.save(plots.comparison(runs, results.read_reference()), picture)
    print(f"picture: {picture}\nruns:    {out}")
    return 0


def train(args: argparse.Namespace) -> int:
    """Train one of the fast nets, past the reference project's accuracy, and measure it."""
    import dataclasses

    files.study_file(args.name)
    out = files.named(args.out or f"runs/{args.name}-{args.data}")
    from cifar_keras import environment, results, study

    print(environment.describe())
    described = study.load(args.name)
    runs = study.run(
        dataclasses.replace(
            described, folder=out, data=args.data, seeds=(args.seed,), keep_weights=(args.seed,)
        )
    )
    _require_all(runs, args.seed, out)
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
    files.study_file(args.name)
    from cifar_keras import jobs

    if args.jobs:
        jobs.run_here(args.name, args.jobs)
    elif args.scheduler:
        jobs.run_on_cluster(args.name, args.scheduler)
    elif args.only:
        jobs.train_only(args.name, args.only)
    else:
        from cifar_keras import environment, study

        print(environment.describe())
        study.run(study.load(args.name))
    return 0


def study_status(args: argparse.Namespace) -> int:
    """Say of every run whether it is finished, in training, interrupted or not begun."""
    files.study_file(args.name)
    from cifar_keras import study

    print("\n".join(study.status(study.load(args.name))))
    return 0


def study_verify(args: argparse.Namespace) -> int:
    """Evaluate the recorded weights again, and check all that the records say."""
    names = [args.name] if args.name else files.studies()
    for name in names:
        files.study_file(name)
    from cifar_keras import study, verification

    checked = problems = 0
    for name in names:
        print(f"study {name}")
        for as_recorded, line in verification.verify(study.load(name)):
            print(f"  {line}")
            checked += " verified, " in line
            problems += not as_recorded
    print(f"{checked} runs are as recorded, {problems} problems")
    if not checked and not problems:
        print("nothing was checked: no run is recorded", file=sys.stderr)
    return 1 if problems or not checked else 0


def play(args: argparse.Namespace) -> int:
    """Write a page that computes the recorded nets, and yours, in a browser; open it."""
    files.require_checkout()
    out = files.named(args.out)
    import webbrowser

    from cifar_keras import play

    play.write_page(out, [files.named(path) for path in args.own])
    print(f"page: {out}")
    if args.open and not webbrowser.open(out.resolve().as_uri()):
        print("no browser was found; open the page with one")
    return 0


def _require_all(runs: dict, seed: int, folder: Path) -> None:
    missing = [f"{variant}-seed{seed}" for variant, by_seed in runs.items() if seed not in by_seed]
    if missing:
        raise UserError(
            f"another process is training {', '.join(missing)} in {folder}; give the same command "
            "when it is done, or name another --out"
        )


def _integer(minimum: int, maximum: int | None = None):
    def integer(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise argparse.ArgumentTypeError(f"must be at least {minimum}")
        if maximum is not None and number > maximum:
            raise argparse.ArgumentTypeError(f"must be at most {maximum}")
        return number

    return integer


def share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError("must be from 0 to 1")
    return number


def _version() -> str:
    """The package, and what it finds installed, without starting it."""
    found = machine.versions(("keras", "tensorflow", "jax", "torch"))
    parts = [f"cifar_keras {__version__}", f"Python {platform.python_version()}"]
    return ", ".join([*parts, *map(" ".join, found.items())])


def _command(
    commands: argparse._SubParsersAction, name: str, run: Callable, example: str
) -> argparse.ArgumentParser:
    """Adds a command that calls `run`, with its docstring and an example as help."""
    epilog = f"example: python -m cifar_keras {example}"
    command = commands.add_parser(name, help=run.__doc__, description=run.__doc__, epilog=epilog)
    command.set_defaults(run=run)
    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cifar_keras",
        description=__doc__,
        epilog="example: python -m cifar_keras compare --epochs 3",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    images = {"choices": ["sample", "full"], "help": "images (%(default)s)"}
    seed = {
        "type": _integer(0, 2**32 - 1),
        "default": 0,
        "help": "of all random numbers (%(default)s)",
    }

    data = commands.add_parser(
        "data",
        help="the full CIFAR-10: fetch it, verify it, find it",
        epilog="example: python -m cifar_keras data where",
    )
    actions = data.add_subparsers(required=True, metavar="ACTION")
    for name, run in [("fetch", data_fetch), ("verify", data_verify), ("where", data_where)]:
        _command(actions, name, run, f"data {name}")

    command = _command(commands, "compare", compare, "compare --epochs 3 --seed 1")
    command.add_argument("--epochs", type=_integer(1), default=12, help="per model (%(default)s)")
    command.add_argument("--seed", **seed)
    command.add_argument("--data", default="sample", **images)
    command.add_argument("--out", help="folder for histories and picture (runs/…)")

    command = _command(commands, "train", train, "train quick --data sample")
    command.add_argument("name", choices=["compact", "quick", "strong"], help="the net")
    command.add_argument("--seed", **seed)
    command.add_argument("--data", default="full", **images)
    command.add_argument(
        "--target", type=share, help="exit with status 1 below this accuracy, from 0 to 1"
    )
    command.add_argument("--out", help="folder for the run (runs/…)")

    command = _command(commands, "play", play, "play --run runs/quick-full/quick-seed0")
    command.add_argument(
        "--run",
        dest="own",
        metavar="FOLDER",
        nargs="+",
        default=[],
        help="runs of your own, or .keras files, to show as well",
    )
    command.add_argument("--out", default="runs/play.html", help="the page (%(default)s)")
    command.add_argument("--no-open", dest="open", action="store_false", help="only write it")

    studies = commands.add_parser(
        "study",
        help="recorded experiments: run, status, verify",
        epilog="example: python -m cifar_keras study status seeds",
    )
    actions = studies.add_subparsers(required=True, metavar="ACTION")
    actions_of_studies = {
        "run": (study_run, "run seeds --jobs 2"),
        "status": (study_status, "status seeds"),
        "verify": (study_verify, "verify seeds"),
    }
    for name, (run, example) in actions_of_studies.items():
        command = _command(actions, name, run, f"study {example}")
        command.add_argument("name", metavar="NAME", help="of a file studies/NAME.toml")
        if run is study_run:
            many = command.add_mutually_exclusive_group()
            many.add_argument(
                "--jobs", metavar="N", type=_integer(1), help="N runs at once, each a process"
            )
            many.add_argument(
                "--scheduler", metavar="ADDRESS", help="give the runs to this Dask cluster"
            )
            many.add_argument("--only", metavar="RUN", help=argparse.SUPPRESS)  # of `jobs.train`
    _command(commands, "verify", study_verify, "verify").set_defaults(name=None)
    return parser


def _run(argv: list[str] | None) -> int:
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except UserError as error:
        terminal.end_line()
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        terminal.end_line()
        resumes = args.run in (compare, train, study_run)
        advice = "; the same command goes on after the last finished epoch" if resumes else ""
        print(f"interrupted{advice}", file=sys.stderr)
        return 130


def main(argv: list[str] | None = None) -> int:
    """Run one command; argv is sys.argv[1:] by default. Returns the exit status."""
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain once more when it flushes stdout at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # a name that is too long, a full disk behind stdout
        where = f"{error.filename}: " if error.filename else ""
        said = f"{where}{error.strerror or error}"
        print(f"error: {said}; name another place, or make room", file=sys.stderr)
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2


if __name__ == "__main__":
    status = main()
    gc.collect()  # TensorFlow warns of what an error left to the interpreter's end
    sys.exit(status)
