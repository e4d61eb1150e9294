import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "ziffern"
FLOORS = {  # module or package -> floor; a module may import its own floor and those below
    "errors": 0,
    "text": 0,
    "files": 0,
    "records": 0,
    "records.checkpoint": 1,
    "records.config": 2,
    "loading": 2,
    "resuming": 2,
    "atomic": 0,
    "streams": 0,
    "processes": 0,
    "failure": 0,
    "foreign_config": 2,
    "run_folder": 2,
    "normalize": 0,
    "augment": 0,
    "models": 0,
    "analysis": 0,
    "data": 0,
    "figures": 0,
    "data.datamodule": 1,
    "scores": 1,
    "module": 1,
    "stack": 1,
    "callbacks": 1,
    "tensorboard": 1,
    "recording": 2,
    "summary": 2,
    "train": 2,
    "config": 2,
    "explain": 2,
    "machine": 0,
    "pace": 2,
    "experiment": 2,
    "runs": 2,
    "report": 3,
    "compare": 3,
    "search": 3,
    "ensemble": 3,
    "drawing": 0,
    "studio": 3,
    "entry": 3,
    "cli": 3,
}
LIBRARY_FLOORS = {"pytorch_lightning": 1, "torchmetrics": 1, "hydra": 2, "omegaconf": 2}


def floor_of(module: str) -> int:
    while module not in FLOORS:
        module, _, _ = module.rpartition(".")
        assert module, "a new module has to be given a floor"
    return FLOORS[module]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_modules_import_downward_only(path: Path) -> None:
    name = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    if name == "__init__":
        assert not imports(path)
        return
    own = floor_of(name)
    for imported in imports(path):
        top = imported.split(".")[0]
        if top == "ziffern" and imported != "ziffern":
            assert floor_of(imported.removeprefix("ziffern.")) <= own, f"{name} imports {imported}"
        assert LIBRARY_FLOORS.get(top, 0) <= own, f"{name} imports {imported}"
