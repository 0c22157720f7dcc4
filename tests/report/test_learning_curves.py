"""Learning curves: every number of a run has a panel, and what was kept and what was rolled back is marked."""

import json

import pytest
from run_toys import SCORES, write_run

import inradius
from inradius.report import learning_curves
from inradius.report.history import History, histories, is_training
from inradius.report.learning import panels


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]


def panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title(loc="left") == title)


def points(line):
    return list(zip(*(list(values) for values in line.get_data()), strict=True))


def test_a_run_leaves_a_figure_in_its_folder(tmp_path):
    figure = learning_curves(write_run(tmp_path))
    assert (tmp_path / "learning_curves.svg").read_text().startswith("<?xml")
    assert titles(figure) == ["training loss", "learning rate", "held-out accuracy", "best score so far − score"]
    first = (tmp_path / "learning_curves.svg").read_bytes()
    learning_curves(tmp_path)
    assert (tmp_path / "learning_curves.svg").read_bytes() == first


def test_curves_are_the_numbers_of_the_run(tmp_path):
    figure = learning_curves(write_run(tmp_path, clean=0.95))
    loss = panel(figure, "training loss").lines[0]
    assert points(loss) == [(epoch, pytest.approx(1 / epoch)) for epoch in range(1, 6)]
    scores = panel(figure, "held-out accuracy")
    assert scores.get_legend_handles_labels()[1] == ["score", "clean", "best"]
    assert points(scores.lines[0]) == list(enumerate(SCORES, 1))
    assert points(scores.lines[2]) == [(3, 0.9)]
    gaps = panel(figure, "best score so far − score").lines[0]
    assert points(gaps) == [(1, 0), (2, 0), (3, 0), (4, pytest.approx(0.3)), (5, pytest.approx(0.25))]


def test_an_epoch_that_was_rolled_back_is_marked_and_is_never_the_best(tmp_path):
    figure = learning_curves(write_run(tmp_path, rolled_back=(3,)))
    scores = panel(figure, "held-out accuracy")
    assert "rolled back" in scores.get_legend_handles_labels()[1]
    assert all(len(axes.patches) == 1 for axes in figure.axes if axes.get_visible())
    assert points(scores.lines[1]) == [(2, 0.7)]
    run = History.load(tmp_path)
    assert (run.rolled_back, run.best["epoch"], run.last["epoch"]) == ([3], 2, 5)
    assert run.gaps() == ([1, 2, 4, 5], pytest.approx([0, 0, 0.1, 0.05]))


def test_numbers_of_one_monitor_share_a_panel(tmp_path):
    write_run(
        tmp_path,
        grad_align=0.1,
        grad_align_weight=0.2,
        my_watch__accuracy=0.5,
        my_watch__gap=0.1,
        my_watch__loss__mean=2.0,
    )
    assert panels(histories(tmp_path)) == {
        "training loss": ["loss"],
        "learning rate": ["lr"],
        "held-out accuracy": ["score"],
        "best score so far − score": [""],
        "grad align": ["grad_align"],
        "grad align weight": ["grad_align_weight"],
        "my watch": ["my_watch/accuracy", "my_watch/gap"],
        "my watch: loss": ["my_watch/loss/mean"],
    }


def test_many_classes_are_drawn_without_names(tmp_path):
    each = {f"class_accuracy__{label}": label / 10 for label in range(10)}
    figure = learning_curves(write_run(tmp_path, **each, class_accuracy__worst=0.0))
    axes = panel(figure, "class accuracy")
    assert len(axes.lines) == 11
    assert axes.get_legend() is None or axes.get_legend_handles_labels()[1] == ["worst"]


def test_runs_are_compared_in_the_same_panels(tmp_path):
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two", scores=[0.1, 0.2], extra=1.0)
    figure = learning_curves([one, two], path=tmp_path / "both.png")
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert not (one / "learning_curves.svg").exists()
    assert panel(figure, "training loss").get_legend_handles_labels()[1] == ["one", "two"]
    assert titles(figure)[-1] == "extra"
    colours = [line.get_color() for line in panel(figure, "training loss").lines]
    assert len(set(colours)) == 2


def test_equal_names_of_folders_are_told_apart(tmp_path):
    folders = [write_run(tmp_path / seed / "run") for seed in ("a", "b")]
    figure = learning_curves(folders)
    assert panel(figure, "training loss").get_legend_handles_labels()[1] == ["a/run", "b/run"]


def test_a_run_of_several_networks_shows_each(tmp_path):
    for name in ("0", "1"):
        write_run(tmp_path / "parts" / name)
    figure = learning_curves(tmp_path)
    assert panel(figure, "training loss").get_legend_handles_labels()[1] == ["0", "1"]
    assert is_training(tmp_path)


def test_without_held_out_examples_there_is_no_score(tmp_path):
    figure = learning_curves(write_run(tmp_path, scores=[None, None]))
    assert titles(figure) == ["training loss", "learning rate"]
    assert History.load(tmp_path).best is None


def test_a_single_epoch_is_a_dot(tmp_path):
    figure = learning_curves(write_run(tmp_path, scores=[0.5]))
    assert panel(figure, "training loss").lines[0].get_marker() == "."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds no readable metrics.jsonl"),
        ("", "has finished no epoch yet"),
        ("{", "is damaged in line 1: it is not JSON"),
    ],
)
def test_a_folder_without_a_run_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    with pytest.raises(inradius.InputError, match=message):
        learning_curves(tmp_path)


def test_no_folder_is_an_error():
    with pytest.raises(inradius.InputError, match="no folder was given"):
        learning_curves([])


def test_drawing_opens_no_window_and_keeps_no_figure(tmp_path):
    import matplotlib

    learning_curves(write_run(tmp_path))
    assert "matplotlib.pyplot" not in vars(matplotlib) or not matplotlib.pyplot.get_fignums()


def test_histograms_of_monitors_are_columns_of_a_panel(tmp_path):
    write_run(tmp_path / "run", maximizer_distance__mean=1.0)
    (tmp_path / "run" / "monitors").mkdir()
    lines = [{"epoch": epoch, "edges": [0.0, 1.0, epoch + 1.0], "counts": [3.0, 1.0]} for epoch in (1, 2)]
    path = tmp_path / "run" / "monitors" / "maximizer_distance.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "run" / "monitors" / "other.jsonl").write_text('{"epoch": 1}\n')
    figure = learning_curves(tmp_path / "run")
    columns = panel(figure, "maximizer distance: histogram").collections
    assert [mesh.get_array().flatten().tolist() for mesh in columns] == [[0.75, 0.25]] * 2
    assert [mesh.get_coordinates()[:, 0].tolist() for mesh in columns] == [
        [[epoch - 0.5, edge] for edge in line["edges"]] for epoch, line in zip((1, 2), lines, strict=True)
    ]
    assert "maximizer distance" in titles(figure)
    assert "maximizer distance: histogram" not in titles(
        learning_curves([tmp_path / "run", write_run(tmp_path / "second")])
    )
    path.write_text("{")
    with pytest.raises(inradius.InputError, match="is damaged in line 1: it is not JSON"):
        learning_curves(tmp_path / "run")
