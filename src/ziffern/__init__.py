"""ziffern: train, compare and explain small classifiers of handwritten digits.

Nothing happens at import; each module imports the heavy libraries it needs where it needs them.
"""

__version__ = "0.1.0"
