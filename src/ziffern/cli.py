"""The console script `ziffern`: one subcommand a job.

`ziffern train` is `python train.py` for an installed package; what reads finished runs comes beside it.
"""

import sys


def main() -> None:
    """Run the subcommand named by the first argument."""
    from ziffern import __version__

    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name == "train":
        from ziffern.entry import train

        # Hydra and DDP's child processes read sys.argv: this is the program `train` from here on.
        del sys.argv[1]
        train()
    elif name == "--version":
        print(f"ziffern {__version__}")
    elif name in ("--help", "-h"):
        print("usage: ziffern train [GROUP=OPTION ...] [SETTING=VALUE ...]\n       ziffern train --help | --version")
    else:
        print(f"error: ziffern {name}: no such command: train is there; see ziffern --help", file=sys.stderr)
        sys.exit(2)
