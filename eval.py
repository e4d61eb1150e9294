"""Test a finished checkpoint again: `python eval.py ckpt_path=RUN/checkpoints/best.ckpt [data=mnist data.dir=FOLDER]`.

`ziffern evaluate` has more options.
"""

from ziffern.cli.evaluate import main

if __name__ == "__main__":
    main()
