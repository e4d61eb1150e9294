"""Files, folders and archives are read whole, in natural order, labeled or not."""

import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.test_drawing import mnist

from ziffern.data.inputs import images_of
from ziffern.errors import InputError

GRAY = (1, 28, 28)
DIGITS, LABELS = mnist()[0][:12], np.arange(12) % 10


class Result:
    """All batches of a source."""

    def __init__(self, source: object, shape=GRAY, prepare: str = "digit") -> None:
        stream = images_of(source, shape, prepare, True, 5)
        batches = list(stream)
        self.stream, self.notes = stream, [note.code for note in stream.notes]
        self.names = [name for batch in batches for name in batch.names]
        self.images = np.concatenate([batch.images for batch in batches])
        self.problems = [problem and problem.code for batch in batches for problem in batch.problems]
        has_labels = all(batch.labels is not None for batch in batches)
        self.labels = [label for batch in batches for label in batch.labels] if has_labels else None


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "pictures", {f"{place}.png": png(digit) for place, digit in enumerate(DIGITS)})


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def refusal(source: object) -> str:
    with pytest.raises(InputError) as error:
        Result(source)
    assert str(error.value).isprintable()
    return error.value.code


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def table(*, ids: bool = False, label: bool = False, header: bool = True) -> bytes:
    names = [*(["id"] * ids), *(["label"] * label), *(f"pixel{place}" for place in range(784))]
    rows = [
        [*([f"n{row}"] * ids), *([LABELS[row]] * label), *digit.ravel().tolist()] for row, digit in enumerate(DIGITS)
    ]
    return "".join(",".join(map(str, row)) + "\n" for row in ([names] if header else []) + rows).encode()


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


CONTAINERS = {
    "test.csv": table(),
    "ids.csv": table(ids=True),
    "train.csv": table(label=True),
    "bare.csv": table(header=False),
    "bare.tsv": table(header=False).replace(b",", b"\t"),
    "test.csv.gz": gzip.compress(table()),
    "a.npz": npz(images=DIGITS, labels=LABELS),
    "b.npz": npz(anything=DIGITS),
    "a.npy": npy(DIGITS),
    "t10k-images-idx3-ubyte": idx(DIGITS),
    "t10k-images-idx3-ubyte.gz": gzip.compress(idx(DIGITS)),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_the_same_as_path_bytes_stream_and_in_an_archive(name, tmp_path) -> None:
    path = write(tmp_path, {name: CONTAINERS[name]}) / name
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(path, name)
        file.writestr("README.txt", "x")
    for source in (path, str(path), CONTAINERS[name], io.BytesIO(CONTAINERS[name]), archive, f"{archive}:{name}"):
        result = Result(source)
        np.testing.assert_array_equal(result.images[:, 0], DIGITS)
        assert result.problems == [None] * 12
        assert result.stream.count == 12
        is_labeled = name in ("train.csv", "a.npz")
        assert ([int(label) for label in result.labels] if result.labels else None) == (
            [*LABELS] if is_labeled else None
        )
        assert result.stream.has_labels == is_labeled
        assert result.stream.has_ids == (name == "ids.csv")
        assert result.names[3] == ("n3" if name == "ids.csv" else "3")


def test_a_folder_is_read_in_natural_order(folder) -> None:
    result = Result(folder)
    assert result.names == [f"{place}.png" for place in range(12)]
    np.testing.assert_array_equal(result.images[:, 0], DIGITS)
    assert result.notes == []


def test_every_picture_of_a_nested_folder_counts_once(tmp_path, folder) -> None:
    files = {path: png(DIGITS[0]) for path in ("a/1.png", "a/b/c/2.png", "train/0/3.png", "test/9/4.png", "x5.png")}
    write(folder, files)
    result = Result(folder)
    assert sorted(result.names) == sorted([*files, *(f"{place}.png" for place in range(12))])


def test_class_folders_are_labels(tmp_path) -> None:
    files = {f"{label}/{place}.png": png(DIGITS[place]) for place, label in enumerate(LABELS)}
    result = Result(write(tmp_path / "d", files))
    assert result.labels == [name.split("/")[0] for name in result.names]
    assert Result(write(tmp_path / "d", {"x.png": png(DIGITS[0])})).labels is None


def test_an_archive_is_read_as_its_folder(folder, tmp_path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.iterdir():
            file.write(path, f"in/{path.name}")
    for source in (archive, archive.read_bytes(), f"{archive}:in"):
        result = Result(source)
        assert result.names == [f"in/{place}.png" for place in range(12)]
        np.testing.assert_array_equal(result.images[:, 0], DIGITS)
    assert refusal(f"{archive}:out") == "data.inputs.no_member"


def test_names_of_several_sources_show_where_they_are_from(folder, tmp_path) -> None:
    write(tmp_path, {"a.npy": npy(DIGITS[:2])})
    result = Result([folder, folder / "3.png", tmp_path / "a.npy"])
    assert result.names[11:] == [f"{folder}/11.png", f"{folder}/3.png", f"{tmp_path}/a.npy:0", f"{tmp_path}/a.npy:1"]


def test_one_broken_picture_among_others_is_a_problem_and_alone_an_error(folder) -> None:
    write(folder, {"3.png": b"broken", "4.png": png(DIGITS[4])[:60]})
    result = Result(folder)
    assert result.problems[2:6] == [None, "data.picture.none", "data.picture.damaged", None]
    assert not result.images[3:5].any()
    assert Result([folder / "2.png", folder / "3.png"]).problems == [None, "data.picture.none"]
    assert refusal(folder / "3.png") == "data.picture.none"


def test_what_is_left_out_is_noted(folder) -> None:
    write(folder, {"labels.csv": b"a,b", "README": b"text", "x/y.zip": b"PK"})
    result = Result(folder)
    assert result.names == [f"{place}.png" for place in range(12)]
    assert result.notes == ["data.note.files_left_out"] * 2
    deep = "/".join("abcdefgh")
    write(folder, {f"{deep}/z.png": png(DIGITS[0])})
    assert "data.inputs.note.deep" in Result(folder).notes


def test_pictures_of_another_size_are_prepared(tmp_path) -> None:
    large = 255 - np.kron(DIGITS[0], np.ones((8, 8), np.uint8))
    path = write(tmp_path, {"large.png": png(large)}) / "large.png"
    digit = Result(path).images[0, 0]
    assert np.corrcoef(digit.ravel(), DIGITS[0].ravel())[0, 1] > 0.9
    assert Result(path, (3, 32, 32), "resize").images.shape == (1, 3, 32, 32)


def test_several_arrays_or_tables_are_listed(tmp_path) -> None:
    path = tmp_path / "mnist.npz"
    path.write_bytes(npz(x_train=DIGITS, y_train=LABELS, x_test=DIGITS[:5], y_test=LABELS[:5]))
    assert refusal(path) == "data.inputs.several_arrays"
    result = Result(f"{path}:x_test")
    assert result.labels == [0, 1, 2, 3, 4]
    assert result.notes == ["data.note.arrays_left_out"]
    assert refusal(f"{path}:x") == "data.inputs.no_member"
    both = write(tmp_path / "kaggle", {"train.csv": table(label=True), "test.csv": table()})
    assert refusal(both) == "data.inputs.several"
    raw = {"t10k-images-idx3-ubyte": idx(DIGITS), "t10k-labels-idx1-ubyte": idx(LABELS)}
    raw |= {f"{name}.gz": gzip.compress(content) for name, content in raw.items()}
    assert len(Result(write(tmp_path / "raw", raw)).names) == 12


def test_names_of_files_in_a_table_are_ids(tmp_path) -> None:
    text = table(ids=True).replace(b"id,", b"filename,", 1)
    result = Result(text)
    assert result.names[:2] == ["n0", "n1"]
    assert result.labels is None


def test_emnist_files_are_turned(tmp_path) -> None:
    path = tmp_path / "emnist-letters-test-images-idx3-ubyte"
    path.write_bytes(idx(DIGITS.swapaxes(1, 2)))
    result = Result(path)
    np.testing.assert_array_equal(result.images[:, 0], DIGITS)
    assert result.notes == ["data.inputs.note.transposed"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.npy", npy(np.array([{}], object)), "data.array.objects"),
        ("labels-idx1-ubyte", idx(LABELS), "data.idx.magic"),
        ("a.csv", b"", "data.inputs.unknown"),
        ("a.txt", b"hello\nworld\n", "data.inputs.unknown"),
        ("a.csv", b"a,b\n1,2\n", "data.inputs.unknown"),
        ("a.csv", table().replace(b",7", b",700"), "data.table.value"),
        ("a.dat", bytes(range(256)), "data.inputs.unknown"),
        ("a.zip", b"PK\x03\x04 broken", "data.archive.damaged"),
        ("a.npz", npz(labels=LABELS), "data.inputs.no_array"),
        ("a.csv.gz", gzip.compress(table())[:-9], "data.table.gzip"),
    ],
)
def test_what_is_no_image_is_an_error(tmp_path, name, content, code) -> None:
    assert refusal(write(tmp_path, {name: content}) / name) == code
    assert refusal(content) == code or name == "a.csv.gz"


def test_guards_of_archives_hold(tmp_path) -> None:
    for name, code in (("../x.png", "data.archive.climbs"), ("/x.png", "data.archive.climbs")):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
            file.writestr(name, png(DIGITS[0]))
        assert refusal(tmp_path / "x.zip") == code
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.npy", npy(np.zeros((130_000, 28, 28), np.uint8)))
    assert refusal(tmp_path / "x.zip") == "data.archive.bomb"


def test_pictures_are_decoded_batch_by_batch(folder, monkeypatch) -> None:
    from ziffern.data.inputs import groups

    decoded: list[str] = []
    original = groups.decode
    monkeypatch.setattr(
        groups, "decode", lambda member, *rest: (decoded.append(member.label), original(member, *rest))[1]
    )
    stream = images_of(folder, GRAY, "digit", True, 5)
    assert (stream.count, decoded) == (12, [])
    next(stream)
    assert len(decoded) == 5
