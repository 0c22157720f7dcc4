"""Work is done once, whoever asks for it: by threads that hold folders as processes do, and after a stop."""

import threading
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import pytest

from inradius import InputError
from inradius.stored.lock import claimed, locked
from inradius.stored.shared_work import keep, shared


def work(folder, done, pause=0.0):
    """Ten pieces that note who did them."""

    def piece(number):
        def find():
            sleep(pause)
            done.append(number)
            return {"number": number}

        return find

    return {folder / str(number) / "record.json": piece(number) for number in range(10)}


def test_a_record_is_found_once_and_again_where_it_is_to_be_fresh(tmp_path):
    calls = []
    for fresh in (False, False, True):
        keep(tmp_path / "a.json", lambda: {"call": len(calls) or calls.append(1) or 0}, fresh=fresh)
    assert calls == [1]
    assert '"call": 1' in (tmp_path / "a.json").read_text()


def test_two_that_ask_at_once_share_the_work(tmp_path):
    done = []
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(lambda: dict(shared(work(tmp_path, done, 0.01)))) for _ in range(2)]
        one, two = (each.result() for each in asked)
    assert one == two
    assert {record["number"] for record in one.values()} == set(range(10))
    assert sorted(done) == list(range(10))


def test_a_piece_that_another_holds_comes_last(tmp_path):
    pieces, free = work(tmp_path, []), threading.Event()
    (tmp_path / "3").mkdir()
    with claimed(tmp_path / "3") as held:
        assert held
        found = shared(pieces)
        order = [next(found)[1]["number"] for _ in range(9)]
    free.set()
    assert order == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert [record["number"] for _, record in found] == [3]


def test_a_stop_leaves_what_was_done(tmp_path):
    done = []
    first = shared(work(tmp_path, done))
    for _ in range(4):
        next(first)
    first.close()
    assert len(dict(shared(work(tmp_path, done)))) == 10
    assert sorted(done) == list(range(10))


def test_an_error_leaves_the_piece_to_the_next_who_asks(tmp_path):
    place = tmp_path / "a" / "record.json"

    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(shared({place: fail}))
    assert [record for _, record in shared({place: lambda: {"x": 1}})] == [{"x": 1}]


def test_a_folder_that_is_held_is_refused(tmp_path):
    with claimed(tmp_path) as first, claimed(tmp_path) as second:
        assert (first, second) == (True, False)
        with pytest.raises(InputError, match="another process is at work"), locked(tmp_path):
            pass
    with locked(tmp_path):
        pass
