"""Stored data: only a run's own files are deleted, what lacks its checksum is told, and a disk that fails is one sentence."""

import errno
import json
import re
import shutil

import attrs
import pytest
import torch
from bracket_toys import Corner, cloud, linear
from bracket_toys import run as bracket
from run_toys import Probe, blobs, fit, network
from safetensors.torch import load_file, save_file
from slot_toys import Watch

import inradius
from inradius import InputError, StorageError
from inradius.cli import run as command
from inradius.stored import listing
from inradius.stored.checksum import FIELD, intact, sealed_json
from inradius.stored.files import append, write_atomic
from inradius.stored.reading import check, whole_lines

BOTH = pytest.mark.parametrize("start", [fit, bracket])


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def said(error):
    assert "\n" not in str(error.value)
    return str(error.value)


# what ``fresh`` deletes


@BOTH
def test_fresh_deletes_nothing_of_a_folder_without_a_run(tmp_path, start):
    for name in (
        "report.docx",
        "robustness.py",
        "deltas/mine.safetensors",
        "monitors/notes.txt",
        "state.pt",
        "run.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"holds '.*', which is not in its list of a run's files"):
        start(tmp_path, fresh=True)
    assert tree(tmp_path) == before


@BOTH
@pytest.mark.parametrize("name", ["report.docx", "deltas/mine.safetensors", "monitors/mine.jsonl", "mine/report.json"])
def test_fresh_is_refused_where_there_are_other_files(tmp_path, start, name):
    start(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(InputError, match=re.escape(repr(name))) as error:
        start(tmp_path, fresh=True)
    assert "move it away" in said(error)
    assert tree(tmp_path) == before


@BOTH
def test_fresh_takes_away_all_that_a_run_wrote(tmp_path, start):
    start(tmp_path / "run")
    # what a killed writer left
    (tmp_path / "run" / ".run.json.123.tmp").write_text("")
    listing.clear(tmp_path / "run")
    assert set(tree(tmp_path / "run")) <= {".lock"}
    start(tmp_path / "run", fresh=True)
    assert (tmp_path / "run" / "run.json").exists()


def test_a_run_in_a_folder_below_stays(tmp_path):
    bracket(tmp_path)
    bracket(tmp_path / "curve" / "factor-2")
    before = tree(tmp_path / "curve")
    bracket(tmp_path, fresh=True)
    assert tree(tmp_path / "curve") == before


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    fit(tmp_path / "run")
    (tmp_path / "run" / "monitors").symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="holds 'monitors'"):
        fit(tmp_path / "run", fresh=True)
    assert (tmp_path / "other" / "mine.txt").exists()


def test_a_component_s_own_file_goes_with_the_run(tmp_path):
    listing.begin(tmp_path)
    with pytest.raises(InputError, match="is not a file below the run's folder"):
        listing.note(tmp_path, "../mine.txt")


@BOTH
def test_an_empty_name_is_no_folder(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for fresh in (False, True):
        with pytest.raises(InputError, match="folder='' names no folder"):
            start("", fresh=fresh)
    assert not tree(tmp_path)


def test_an_empty_name_is_no_folder_on_the_command_line(capsys):
    for asked in (["bracket"], ["train", "standard"]):
        assert command([*asked, "--out", ""]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "folder='' names no folder" in line


# what carries a checksum


def test_every_file_that_is_read_again_carries_its_checksum(tmp_path):
    fit(tmp_path / "one", ema=0.5, monitors=["maximizer_distance(restarts=2, examples=2, attack=pgd(steps=1))"])
    bracket(tmp_path / "two")
    for name, content in tree(tmp_path).items():
        if name.endswith(".jsonl"):
            assert all(intact(line) for line in content.splitlines(keepends=True)), name
        elif name.endswith((".pt", ".json", ".safetensors")):
            assert intact(content), name
            check(tmp_path / name)


def test_other_programs_read_the_files_as_before(tmp_path):
    fit(tmp_path)
    assert load_file(tmp_path / "best.safetensors").keys() == network().state_dict().keys()
    assert torch.load(tmp_path / "state.pt", weights_only=True)["epoch"] == 3
    assert "settings" in json.loads((tmp_path / "run.json").read_text())


def bare(folder):
    """The files of a version that wrote no checksums."""
    (folder / listing.LIST).unlink(missing_ok=True)
    for path in folder.rglob("*"):
        if path.suffix == ".safetensors":
            save_file(load_file(path), path)
        elif path.suffix == ".pt":
            torch.save(torch.load(path, weights_only=True), path)
        elif path.suffix in (".json", ".jsonl"):
            path.write_bytes(re.sub(rb',\s*"inradius_sha256": ".{64}"', b"", path.read_bytes()))


def test_files_of_older_versions_are_read(tmp_path):
    fit(tmp_path / "run", Probe(), epochs=2)
    report = bracket(tmp_path / "bracket")
    for folder in (tmp_path / "run", tmp_path / "bracket"):
        bare(folder)
        assert not [name for name, content in tree(folder).items() if FIELD.encode() in content]
    inradius.load_weights(network(), tmp_path / "run" / "best.safetensors")
    fit(tmp_path / "run", Probe(), epochs=2)
    assert inradius.Report.load(tmp_path / "bracket") == report
    assert bracket(tmp_path / "bracket") == report


def test_an_interrupted_run_of_an_older_version_goes_on(tmp_path):
    whole = fit(tmp_path / "whole", epochs=4)
    with pytest.raises(inradius.DivergenceError):
        fit(tmp_path / "part", Probe(bad_epoch=2), epochs=4)
    bare(tmp_path / "part")
    record = json.loads((tmp_path / "part" / "run.json").read_text())
    record["settings"]["defense"] = Probe().spec(full=True)
    (tmp_path / "part" / "run.json").write_text(json.dumps(record))
    resumed = fit(tmp_path / "part", epochs=4)
    assert all(map(torch.equal, whole.state_dict().values(), resumed.state_dict().values()))


@pytest.mark.parametrize("name", ["state.pt", "best.safetensors", "metrics.jsonl", "run.json"])
def test_a_checksum_that_is_missing_in_a_run_is_told(tmp_path, name):
    fit(tmp_path / "run")
    path = tmp_path / "run" / name
    shutil.copytree(tmp_path / "run", tmp_path / "bare")
    bare(tmp_path / "bare")
    path.write_bytes((tmp_path / "bare" / name).read_bytes())
    readers = {"best.safetensors": lambda: inradius.load_weights(network(), path), "metrics.jsonl": learning(path)}
    with pytest.raises(InputError, match="the checksum is missing that its run wrote") as error:
        readers.get(name, lambda: fit(tmp_path / "run"))()
    assert name in said(error)


def learning(path):
    from inradius.report.history import History

    return lambda: History.load(path.parent)


def test_weights_of_others_in_a_folder_of_one_s_own_are_read(tmp_path):
    fit(tmp_path)
    torch.save(network().state_dict(), tmp_path / "mine.pt")
    inradius.load_weights(network(), tmp_path / "mine.pt")


def test_lines_are_read_up_to_one_that_is_damaged(tmp_path):
    path = tmp_path / "lines.jsonl"
    for number in range(4):
        append(path, sealed_json({"number": number}))
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"number": 2', b'"number": 5'))
    assert [record["number"] for _, record in whole_lines(path)] == [0, 1]
    path.write_bytes(content[:-1])
    assert [record["number"] for _, record in whole_lines(path)] == [0, 1, 2]


# what a disk may do


@pytest.fixture
def full_disk(monkeypatch):
    """Fills the disk when it is called."""

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    return lambda: monkeypatch.setattr("os.fsync", full)


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, full_disk):
    write_atomic(tmp_path / "file", b"old")
    full_disk()
    with pytest.raises(StorageError, match=r"file' cannot be written \(No space left on device\); make room"):
        write_atomic(tmp_path / "file", b"new")
    assert tree(tmp_path) == {"file": b"old"}


@BOTH
def test_a_full_disk_is_one_sentence(tmp_path, start, full_disk):
    full_disk()
    with pytest.raises(StorageError, match="No space left on device") as error:
        start(tmp_path)
    assert isinstance(error.value, inradius.InradiusError)
    said(error)


def test_a_full_disk_is_one_sentence_of_reports_and_figures_and_streams(tmp_path, full_disk):
    report = bracket(tmp_path / "run")
    fit(tmp_path / "trained")
    full_disk()
    from inradius.report.learning import learning_curves

    for write in (lambda: report.save(tmp_path / "saved"), lambda: learning_curves(tmp_path / "trained")):
        with pytest.raises(StorageError, match="No space left on device"):
            write()
    with pytest.raises(StorageError, match="No such file or directory"):
        inradius.LazyDataset.spooled([(torch.zeros(2, 3), torch.zeros(2))], tmp_path / "absent" / "file")


def test_a_folder_that_goes_away_is_one_sentence(tmp_path, monkeypatch):
    score = Probe.score

    def go(self, model, batch, threat, run):
        shutil.rmtree(run.folder, ignore_errors=True)
        return score(self, model, batch, threat, run)

    monkeypatch.setattr(Probe, "score", go)
    with pytest.raises(StorageError, match=r"state\.pt' cannot be written \(No such file or directory\)"):
        fit(tmp_path / "run")


def test_a_bracket_whose_folder_goes_away_is_one_sentence(tmp_path):
    @attrs.frozen(kw_only=True)
    class Gone(Corner):
        def perturb(self, batch, *, observe=None):
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
            return super().perturb(batch)

    with pytest.raises(StorageError, match=r"safetensors' cannot be written \(No such file or directory\)") as error:
        bracket(tmp_path / "run", attacks=[Gone()])
    said(error)


def test_a_folder_of_a_bracket_that_goes_away_is_one_sentence(tmp_path):
    report = bracket(tmp_path / "run")
    data = cloud()
    stream = inradius.LazyDataset.of(data.inputs.numpy(), data.labels.numpy(), bounds=None)
    lazy = bracket(tmp_path / "lazy", data=stream, model=linear())
    shutil.rmtree(tmp_path / "lazy")
    row = next(iter(lazy.deltas))
    with pytest.raises(InputError, match=r"cannot be read \(No such file or directory"):
        lazy.deltas[row]
    with pytest.raises(InputError, match=r"holds no readable report\.json"):
        inradius.Report.load(tmp_path / "lazy")
    assert report.lower == lazy.lower


def test_a_state_that_went_away_cannot_be_rolled_back(tmp_path):
    class Gone(Watch):
        def after_epoch(self, model, threat, run):
            (run.folder / "state.pt").unlink(missing_ok=True)
            return super().after_epoch(model, threat, run)

    with pytest.raises(InputError, match=r"state\.pt' is gone"):
        fit(tmp_path, monitors=[Gone(action="back")], data=blobs())
