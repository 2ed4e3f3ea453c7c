"""Runs the campaign: `python -m faults --help`, or `make faults`."""

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from faults import campaign, report
from faults.campaign import Plan
from faults.injections import FAULTS
from tools.local_system import CannotStart
from tools.parts import PartMissing


def main() -> None:
    if sys.argv[1:2] == ["report"]:
        _report(sys.argv[2:])
        return
    options = _options()
    plan = Plan(options.kills, options.others, options.seed, options.only)
    state = Path(tempfile.mkdtemp(prefix="faults-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop the system, as Ctrl-C does
    try:
        run = asyncio.run(campaign.run(plan, state, _say))
    except (CannotStart, PartMissing) as error:
        sys.exit(f"{error}\nThe logs are in {state}/logs.")
    except KeyboardInterrupt:
        sys.exit(f"\nStopped; the logs are in {state}/logs.")
    except BaseException:
        print(f"\nThe run did not end; its logs are in {state}/logs.", file=sys.stderr)
        raise
    report.say_on(run)
    if options.out:
        run.write(options.out)
    if not run.clean:
        sys.exit(f"The guarantee was broken; the logs and the data are in {state}.")
    shutil.rmtree(state)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m faults",
        description="Break a system of its own in every way, under load, and check its word.",
        epilog="`python -m faults report TARGET.json RUN.json …` merges runs and writes the page.",
    )
    parser.add_argument("--kills", type=int, default=2, help="times of each kill (default 2)")
    parser.add_argument("--others", type=int, default=2, help="times of each other fault")
    parser.add_argument("--seed", type=int, default=1, help="repeats a run (default 1)")
    parser.add_argument("--out", type=Path, help="write the figures to this file, as JSON")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="FAULT",
        choices=[fault.name for fault in FAULTS],
        help=f"inject these faults alone: {', '.join(repr(fault.name) for fault in FAULTS)}",
    )
    return parser.parse_args()


def _report(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m faults report", description="Merge runs into TARGET and the page beside it."
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("--since", action="store_true", help="show the runs beside TARGET's own")
    parser.add_argument("runs", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    try:
        run = report.write_report(options.target, options.runs, since=options.since)
    except (report.CannotReport, OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"No report: {error}")
    report.say_on(run)


def _say(line: str, final: bool) -> None:
    """Show progress; where nobody watches, only what is final."""
    if sys.stdout.isatty():
        print(f"\r{line:100}", end="\n" if final else "", flush=True)
    elif final:
        print(line, flush=True)


if __name__ == "__main__":
    main()
