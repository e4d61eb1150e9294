"""Train, test and record an image classifier: `python train.py model=cnn trainer=gpu`.

Every setting is in conf/ and can be overridden here by its dotted name; `-m` runs several in turn.
`python train.py --help` lists the options.
"""

from ziffern.cli.train import train

if __name__ == "__main__":
    train()
