"""From YAML to checked objects."""

from pathlib import Path


def conf_folder() -> Path:
    """Return the folder of the configuration: the wheel's copy, or the checkout's `conf/`."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"
