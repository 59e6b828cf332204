"""What lies on the disk, and the search over it."""

import random
from pathlib import Path

import numpy as np
import pytest

from ghostd.errors import ConfigError
from ghostd.vectors.codes import NotVectors, best, coded, cosines
from ghostd.vectors.store import NewContent, VectorStore, open_store
from ghostd.vectors.texts import text_hash


def content(number: int, rows: int = 3, dimensions: int = 16) -> NewContent:
    numbers = np.random.default_rng(number).standard_normal((rows, dimensions))
    lines = [(10 * row + 1, 10 * row + 9) for row in range(rows)]
    texts = [text_hash(f"{number} {row}") for row in range(rows)]
    return NewContent(number.to_bytes(16, "little"), lines, texts, coded(numbers.tolist()))


def filled(folder: Path, *numbers: int) -> VectorStore:
    store = open_store(folder)
    store.use("model")
    store.add([content(number) for number in numbers])
    return store


@pytest.mark.parametrize(("rows", "dimensions"), [(1, 1), (7, 3), (900, 64), (5000, 48)])
def test_the_search_finds_what_a_comparison_with_every_vector_finds(rows: int, dimensions: int) -> None:
    generator = np.random.default_rng(rows)
    vectors = coded(generator.standard_normal((rows, dimensions)).tolist())
    for _ in range(5):
        wanted = generator.standard_normal(dimensions)
        exact = (vectors.codes.astype(np.float64) * vectors.scales[:, None]) @ (wanted / np.linalg.norm(wanted))
        found = cosines(vectors.codes, vectors.scales, wanted.tolist())
        assert np.abs(found - exact).max() < 1e-5
        chosen = best(found, 10)
        expected = [row for row in np.argsort(-exact, kind="stable")[:10] if exact[row] > 1e-5]
        assert chosen.tolist()[: len(expected)] == expected


def test_eight_bits_keep_a_vector_within_a_percent() -> None:
    numbers = np.random.default_rng(1).standard_normal((200, 768))
    vectors = coded(numbers.tolist())
    restored = vectors.codes * vectors.scales[:, None]
    unit = numbers / np.linalg.norm(numbers, axis=1, keepdims=True)
    assert ((restored * unit).sum(axis=1) > 0.999).all()


@pytest.mark.parametrize("wrong", [[[1.0], [1.0, 2.0]], [[]], [[float("inf")]], [["a"]]])
def test_what_is_no_vector_is_refused(wrong: list[list[float]]) -> None:
    with pytest.raises(NotVectors):
        coded(wrong)


def test_a_zero_vector_is_close_to_nothing() -> None:
    vectors = coded([[0.0, 0.0], [1.0, 0.0]])
    assert best(cosines(vectors.codes, vectors.scales, [1.0, 0.0]), 5).tolist() == [1]


def test_what_was_added_is_there_after_opening_again(tmp_path: Path) -> None:
    filled(tmp_path / "s", 1, 2).close()
    store = open_store(tmp_path / "s")
    assert (store.model, store.dimensions, store.rows, store.lost) == ("model", 16, 6, 0)
    table = store.table()
    assert (table.codes == np.concatenate([content(n).vectors.codes for n in (1, 2)])).all()
    assert table.lines.tolist()[:3] == [[1, 9], [11, 19], [21, 29]]


def test_known_texts_have_their_vectors(tmp_path: Path) -> None:
    store = filled(tmp_path / "s", 1, 2)
    found = store.known_texts().find([text_hash("2 1"), text_hash("never seen")])
    assert found is not None
    assert (found.codes[0] == content(2).vectors.codes[1]).all()
    assert found.scales.tolist()[1] == -1
    assert store.known_texts().find([text_hash("never seen")]) is None


def test_damaged_codes_are_forgotten_alone(tmp_path: Path) -> None:
    filled(tmp_path / "s", 1, 2, 3).close()
    (file,) = (tmp_path / "s").glob("codes-*")
    data = bytearray(file.read_bytes())
    data[16 * 4] ^= 1  # the second row of the second content
    file.write_bytes(data)
    store = open_store(tmp_path / "s")
    assert store.lost == 1
    assert store.hashes() == {content(1).content_hash, content(3).content_hash}
    store.add([content(2)])
    assert store.rows == 9


@pytest.mark.parametrize("harm", ["cut", "remove"])
def test_codes_that_are_gone_leave_an_empty_store(tmp_path: Path, harm: str) -> None:
    filled(tmp_path / "s", 1, 2, 3).close()
    (file,) = (tmp_path / "s").glob("codes-*")
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:50])
    else:
        file.unlink()
    store = open_store(tmp_path / "s")
    assert (store.rows, store.lost) == (0, 3)
    store.add([content(4)])
    assert store.rows == 3


def test_a_damaged_database_is_set_aside(tmp_path: Path) -> None:
    filled(tmp_path / "s", 1).close()
    (tmp_path / "s" / "vectors.sqlite3").write_bytes(b"not a database, but long enough to be looked at" * 100)
    for name in ("vectors.sqlite3-wal", "vectors.sqlite3-shm"):
        (tmp_path / "s" / name).unlink(missing_ok=True)
    store = open_store(tmp_path / "s")
    assert store.rows == 0
    assert (tmp_path / "s.damaged-1").is_dir()


def test_a_database_of_a_newer_ghostd_is_set_aside(tmp_path: Path) -> None:
    store = filled(tmp_path / "s", 1)
    store._db.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(ConfigError):
        VectorStore(tmp_path / "s")
    assert open_store(tmp_path / "s").rows == 0
    assert (tmp_path / "s.newer").is_dir()


def test_what_no_file_has_is_dropped_and_its_room_given_back(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    store.use("model")
    store.add([content(number, rows=100) for number in range(30)])
    table = store.table()
    before = table.codes.copy()
    (first,) = (tmp_path / "s").glob("codes-*")
    kept = {content(number).content_hash for number in range(0, 30, 3)}
    size = first.stat().st_size
    store.keep_only(kept)
    (second,) = (tmp_path / "s").glob("codes-*")
    assert second != first
    assert second.stat().st_size == size // 3
    assert (table.codes == before).all(), "what was searched before stays as it was"
    store.close()
    again = open_store(tmp_path / "s")
    assert again.lost == 0
    assert again.hashes() == kept
    assert (again.table().codes[:100] == content(0, rows=100).vectors.codes).all()


def test_any_history_of_changes_leaves_what_it_should(tmp_path: Path) -> None:
    generator = random.Random(7)
    store, model = open_store(tmp_path / "s"), dict[int, NewContent]()
    store.use("model")
    for _ in range(60):
        new = [content(n, rows=generator.randrange(1, 90)) for n in generator.sample(range(40), 3) if n not in model]
        if new:
            store.add(new)
            model |= {int.from_bytes(one.content_hash, "little"): one for one in new}
        if generator.random() < 0.5:
            model = {n: one for n, one in model.items() if generator.random() < 0.7}
            store.keep_only({one.content_hash for one in model.values()})
        if generator.random() < 0.2:
            store.close()
            store = open_store(tmp_path / "s")
            assert store.lost == 0
        table = store.table()
        assert store.rows == sum(len(one.lines) for one in model.values())
        for one in model.values():
            rows = np.flatnonzero(table.owners == table.hashes.index(one.content_hash))
            assert (table.codes[rows] == one.vectors.codes).all()
            assert (table.scales[rows] == one.vectors.scales).all()
