"""Law: a bit that flips in a stored file is told in one sentence that names the file, or changes nothing that is read from it."""

import json
import shutil
from random import Random

import attrs
import pytest
from bracket_toys import run as bracket
from run_toys import Probe, fit, network, values

import inradius
from inradius.report.history import History

# of 1,000 flips in all; a few of each kind of file by default
SHARES = {
    "training/state.pt": 200,
    "training/run.json": 60,
    "training/run-files.json": 60,
    "training/metrics.jsonl": 60,
    "training/monitors/maximizer_distance.jsonl": 60,
    "training/last.safetensors": 60,
    "training/best.safetensors": 60,
    "training/ema.safetensors": 60,
    "bracket/results.jsonl": 120,
    "bracket/run.json": 40,
    "bracket/run-files.json": 40,
    "bracket/deltas/*.safetensors": 60,
    "bracket/report.json": 80,
    "bracket/deltas-*.safetensors": 40,
}
MONITOR = "maximizer_distance(restarts=2, examples=2, attack=pgd(steps=1))"


class Stopped(Exception):  # noqa: N818
    """A run that was stopped from outside."""


def train(folder, **options):
    return fit(folder, monitors=[MONITOR], ema=0.5, **{"epochs": 3} | options)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A training run that was stopped in its last epoch, and a bracket that is complete."""
    home = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patched:
        score = Probe.score

        def stop(self, model, batch, threat, run):
            if run.epoch == 2:
                raise Stopped
            return score(self, model, batch, threat, run)

        patched.setattr(Probe, "score", stop)
        with pytest.raises(Stopped):
            train(home / "training")
        patched.setattr(Probe, "score", score)
        bracket(home / "bracket")
        yield home


def read(folder, name):
    """What the toolkit makes of a folder, by the way in which the file is read."""
    if folder.name == "bracket":
        return read_report(folder) if name in ("report.json", "deltas-*.safetensors") else read_run(folder, name)
    if name == "run-files.json":
        train(folder, fresh=True, epochs=1)
        return sorted(path.name for path in folder.rglob("*"))
    if name.endswith(".safetensors"):
        model = inradius.load_weights(network(seed=9), folder / name)
        return [value.tolist() for value in model.state_dict().values()]
    told = History.load(folder)
    shown = [told.lines, told.histograms, told.record.get("settings")] if name != "state.pt" else []
    model = train(folder)
    result = json.loads((folder / "run.json").read_text())["result"]
    kept = {key: value for key, value in result.items() if key not in ("seconds", "last")}
    return [shown, [value.tolist() for value in model.state_dict().values()], values(folder), kept]


def read_report(folder):
    report = inradius.Report.load(folder)
    tensors = [{row: value.tolist() for row, value in group.items()} for group in (report.deltas, report.inputs)]
    return [repr(attrs.evolve(report, folder=None)), tensors, report.seconds, report.environment, report.flags]


def read_run(folder, name):
    report = bracket(folder, fresh=name == "run-files.json")
    return [repr(attrs.evolve(report, folder=None)), {row: value.tolist() for row, value in report.deltas.items()}]


def flipped(path, random):
    content = bytearray(path.read_bytes())
    bit = random.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    return bit


def outcome(folder, name, file, expected):
    try:
        found = read(folder, name)
    except inradius.InradiusError as error:
        told = str(error)
        return "told" if file.name in told and "\n" not in told else f"unclear: {told}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "harmless" if found == expected else "SILENT"


def drill(stored, tmp_path, kind, count):
    """How the flips of bits in one kind of file end."""
    home, _, name = kind.partition("/")
    random, ends = Random(kind), []
    shutil.copytree(stored / home, tmp_path / "whole" / home)
    expected = read(tmp_path / "whole" / home, name)
    for number in range(count):
        folder = tmp_path / str(number) / home
        shutil.copytree(stored / home, folder)
        file = random.choice(sorted(folder.glob(name)))
        bit = flipped(file, random)
        ends.append((outcome(folder, name, file, expected), file.name, bit))
        shutil.rmtree(folder)
    return ends


def check(ends):
    bad = [end for end in ends if end[0] not in ("told", "harmless")]
    assert not bad, f"{len(bad)} of {len(ends)}: {bad[:5]}"


@pytest.mark.parametrize("kind", SHARES)
def test_a_flipped_bit_is_told_or_changes_nothing(stored, tmp_path, kind):
    check(drill(stored, tmp_path, kind, SHARES[kind] // 5))


@pytest.mark.slow
def test_a_thousand_flipped_bits_are_told_or_change_nothing(stored, tmp_path):
    ends = {
        kind: drill(stored, tmp_path / str(place), kind, count) for place, (kind, count) in enumerate(SHARES.items())
    }
    for kind, found in ends.items():
        print(kind, {word: sum(end[0] == word for end in found) for word in ("told", "harmless")}, "of", len(found))
    check([end for found in ends.values() for end in found])
    assert sum(map(len, ends.values())) == 1000
