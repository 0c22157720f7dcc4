"""Changes each pinned default and each term of each loss of training, one at a time, and says which no test notices.

``python tests/shared/training_mutations.py [WORDS] [--skip N]`` works in a temporary copy of the repository, runs for
each change the tests that should notice it, and prints the score and the survivors. With words it takes the changes
alone whose description has one of them, and with ``--skip`` not the first N. The defaults are those of
docs/reference/defaults.md, the terms those of ``training_terms.py``.

The tests are collected once. Each change is tried in a process that is forked from there: a term is exchanged within the loaded
functions, a default by importing its plugin again. What can be exchanged by neither is tried in a new interpreter.
"""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from importlib.util import cache_from_source
from pathlib import Path

import attrs
import pytest
from exchanged_code import exchange, inside_functions, load_again
from training_terms import TERMS, tests_of, word_of

ROOT = Path(__file__).parents[2]
DEFAULTS = Path(__file__).with_name("training_defaults.py")
COPIED = ("toolkit", "plugins", "tests", "docs")
# a change may make a loop endless
LONGEST = 900
PAGE = ("tests/test_defaults.py",)
OPTIONS = ("-n", "0", "-x", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:randomly")
BROKEN = 9


@attrs.frozen
class Change:
    """The replacement of a text of a file, and the tests that should notice it."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def __str__(self):
        return f"{Path(self.file).stem}: {' '.join(self.old.split())} -> {' '.join(self.new.split()) or 'nothing'}"

    @property
    def word(self):
        """What the names have of the tests that come first."""
        return Path(self.file).stem if self.tests == PAGE else word_of(self.file)

    def texts(self, folder):
        """The source of the file without and with the change."""
        source = (folder / self.file).read_text("utf-8")
        if self.old not in source:
            raise SystemExit(f"{self}: the text is not in {self.file} any more; write the mutation of what is")
        return source, source.replace(self.old, self.new, 1)


def changes(words):
    """All changes, or those whose description has one of the words."""
    found = [Change(file, old, new, tests_of(file)) for file, pairs in TERMS.items() for old, new in pairs]
    # in a process of its own, since it imports what is to be changed
    told = subprocess.run([sys.executable, str(DEFAULTS), str(ROOT)], check=True, capture_output=True, text=True).stdout
    found += [Change(*each, PAGE) for each in json.loads(told)]
    return [change for change in found if not words or any(word in str(change) for word in words)]


def copied():
    """A temporary copy of what the tests read."""
    folder = Path(tempfile.mkdtemp(prefix="mutations-")).resolve()
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "site")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, folder / file.name)
    return folder


@attrs.define
class Trial:
    """A plugin of pytest that runs the collected tests once for each change, where pytest would run them once."""

    folder: Path
    wanted: list[Change]
    survivors: list[Change] = attrs.field(factory=list)
    known: set = attrs.field(factory=set)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        # what is there is not looked at again in each process
        gc.freeze()
        for number, change in enumerate(self.wanted, 1):
            found = self.noticed(session, change)
            print(f"{number}/{len(self.wanted)} {'noticed' if found else 'SURVIVED'}  {change}", flush=True)
            if not found:
                self.survivors.append(change)
        return True

    def noticed(self, session, change):
        """True where a test fails with the change."""
        old, new = change.texts(self.folder)
        items = self.items(session, change)
        if inside_functions(old, new):
            failed = self.fails(session, items, lambda: exchange(self.folder / change.file, new))
        elif change.tests == PAGE and change.file.startswith("plugins/"):
            failed = self.fails(session, items, lambda: load_again(self.folder / change.file, new))
        else:
            return self.anew(change, old, new)
        # a failure counts where the same tests pass without the change
        if failed and (key := (change.tests, change.word)) not in self.known:
            if self.fails(session, items, lambda: None):
                raise SystemExit(f"{(self.folder / 'output').read_text('utf-8')}\ntests fail without a change")
            self.known.add(key)
        return failed

    def items(self, session, change):
        """The tests of the change, those whose names have its word first."""
        wanted = [str(self.folder / test) for test in change.tests]
        found = [item for item in session.items if any(str(item.path).startswith(test) for test in wanted)]
        return sorted(found, key=lambda item: change.word not in item.nodeid)

    def fails(self, session, items, prepare):
        """True where one of the tests fails in a process of its own that was prepared."""
        child = os.fork()
        if not child:
            os._exit(self.run(session, items, prepare))
        began = time.monotonic()
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                if code == BROKEN:
                    raise SystemExit(f"{(self.folder / 'output').read_text('utf-8')}\nthe change could not be tried")
                return code != 0
            if time.monotonic() - began > LONGEST:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return True
            time.sleep(0.01)

    def run(self, session, items, prepare):
        """1 where a test fails, else 0; what is printed goes to the file ``output`` of the copy."""
        status = BROKEN
        try:
            with open(self.folder / "output", "w") as output:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
            prepare()
            status = 0
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    status = 1
                    break
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        return status

    def anew(self, change, old, new):
        """True where a test fails with the change in a new interpreter; the copy is then as it was."""
        target = self.folder / change.file
        try:
            for text, wanted in ((new, False), (old, True)):
                target.write_text(text, "utf-8")
                # two texts of one second and size look alike
                Path(cache_from_source(str(target))).unlink(missing_ok=True)
                command = [sys.executable, "-m", "pytest", *OPTIONS, *change.tests]
                passed = subprocess.run(command, cwd=self.folder, env=environment(self.folder), capture_output=True)
                if (passed.returncode in (0, 5)) is not wanted:
                    return False
        finally:
            target.write_text(old, "utf-8")
        return True


def environment(folder):
    """The variables of a process that imports the copy."""
    paths = [str(folder / "toolkit"), str(folder / "plugins"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def main(words):
    skipped = int(words.pop(words.index("--skip") + 1)) if "--skip" in words else 0
    wanted = changes([word for word in words if word != "--skip"])[skipped:]
    folder = copied()
    if not wanted:
        raise SystemExit("no change has one of these words")
    os.chdir(folder)
    sys.path[:0] = [str(folder / "toolkit"), str(folder / "plugins")]
    trial = Trial(folder, wanted)
    try:
        tests = sorted({test for change in wanted for test in change.tests})
        status = pytest.main([*OPTIONS, *(str(folder / test) for test in tests)], plugins=[trial])
    finally:
        os.chdir(ROOT)
        shutil.rmtree(folder)
    if status not in (0, 5):
        raise SystemExit(f"the tests could not be collected, or the trial broke off ({status})")
    print(f"{len(wanted) - len(trial.survivors)} of {len(wanted)} changes are noticed")
    for change in trial.survivors:
        print(f"not noticed: {change.file}: {change}")
    return bool(trial.survivors)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
