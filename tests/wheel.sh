#!/usr/bin/env bash
# Builds wheel and sdist, compares their files with the source tree, and runs every command of docs/reference/cli.md from the
# wheel in an empty environment: without extras, where a command that needs one must name it in one sentence, and with them.
#
#   tests/wheel.sh [PYTHON]       the interpreter, python3 by default; prints a row for each call, exits with 1 where one is wrong
#
# It takes some minutes and the space of torch; pip's settings (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS) can name wheels for CPUs.
set -uo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=1 PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH
failed=0
called=" "

"${1:-python3}" -m venv "$work/env" || exit 2
export PATH="$work/env/bin:$PATH"
python -m venv "$work/build" && "$work/build/bin/pip" install -q build || exit 2
"$work/build/bin/python" -m build --outdir "$work/dist" "$root" >"$work/log" 2>&1 || { tail -5 "$work/log"; exit 2; }
wheel="$(echo "$work"/dist/*.whl)"
python "$root/tests/shared/built_files.py" "$root" "$work"/dist/* || failed=1

install() { pip install -q -c "$root/constraints.txt" "$@" 2>"$work/log" || { echo "install: $(tail -1 "$work/log")"; exit 2; }; }

row() { printf '%-6s %s\n' "$1" "$2"; }

# given CODE COMMAND...: the call ends with this exit code, and without a traceback
given() {
    local code="$1" found=0; shift
    called="$called$1 "
    inradius "$@" >"$work/log" 2>&1 || found=$?
    if [ "$found" -eq "$code" ] && ! grep -q 'Traceback\|failed to load' "$work/log"; then row ok "inradius $*"; return; fi
    failed=1
    row WRONG "inradius $*: exit code $found, expected $code"
    tail -8 "$work/log"
}

# lacking EXTRA COMMAND...: the call ends with 2 and one sentence on standard error that names the extra
lacking() {
    local extra="$1" found=0; shift
    inradius "$@" >/dev/null 2>"$work/log" || found=$?
    local said; said="$(tr '\n' ' ' <"$work/log" | sed 's/  */ /g')"
    if [ "$found" -eq 2 ] && [[ "$said" == *"inradius[$extra]"* ]] && ! grep -q Traceback "$work/log"; then
        row ok "inradius $* names the absent extra $extra"; return
    fi
    failed=1
    row WRONG "inradius $* without the extra $extra: exit code $found, said: $said"
}

mkdir "$work/away" && cd "$work/away" || exit 2
install "$wheel"
of=(--model shapes_mlp_certified --data shapes --threat "linf(eps=0.02)")

echo "without extras"
given 0 --version
given 0 bracket "${of[@]}" --count 10 --attack fgsm --certifier interval --out first
given 0 bracket "${of[@]}" --count 10 --attack pgd --certifier crown --out second
given 0 attack "${of[@]}" --count 5 --attack fgsm --out attacked
given 0 certify "${of[@]}" --count 5 --certifier crown --radius --out certified
given 1 certify "${of[@]}" --count 5 --threat "linf(eps=0.9)" --certifier interval --fail-under 1 --out below
given 0 detect "${of[@]}" --count 5 --certifier crown --out flags.csv
given 0 compare first second
given 0 report first
given 0 evidence first --declare clean=0
given 0 evidence --schema
given 0 check-model "${of[@]}" --count 5
given 0 list
given 0 list tables
given 0 describe pgd
given 0 plugins
given 0 new-plugin acme-thing --kind attack
given 0 train standard --model "mlp(256, 8, 4)" --data shapes --epochs 1 --out trained
given 0 report trained
lacking demo bracket --data mnist5k --count 2
lacking demo pareto --out points
lacking demo reproduce thesis-4.3 --seeds 1
lacking lp certify "${of[@]}" --count 2 --certifier milp --out solved
lacking testing plugins --check sets
printf '(declare-const X_0 Real)\n(declare-const Y_0 Real)\n(assert (>= X_0 0))\n(assert (<= X_0 1))\n(assert (>= Y_0 0))\n' >any.vnnlib
: >any.onnx
lacking onnx verify any.onnx any.vnnlib
lacking tensorboard train standard --model "mlp(256, 8, 4)" --data shapes --epochs 1 --monitor tensorboard --out logged

echo "with extras"
install "inradius[demo,testing,verify,tensorboard] @ file://$wheel" check-jsonschema
given 0 bracket --count 2 --attack fgsm --certifier interval --out real
given 0 certify "${of[@]}" --count 2 --certifier milp --out solved
given 0 plugins --check lp
given 0 pareto --model "mlp(256, 8, 4)" --data shapes --judged-on shapes --count 10 --threat "linf(eps=0.02)" --method certified \
    --dial 0.5 --certifier interval --epochs 1 --out points
given 0 train standard --model "mlp(256, 8, 4)" --data shapes --epochs 1 --monitor tensorboard --out logged
PYTHONPATH="$root/tests/shared" python - <<'END' || failed=1
from pathlib import Path
from verify_cases import box_text, network, onnx_file
onnx_file(network(), "net.onnx")
box = box_text([0, 0], [1, 1])
Path("safe.vnnlib").write_text(box + "(assert (>= Y_0 1000))\n")
Path("unsafe.vnnlib").write_text(box + "(assert (>= Y_0 -1000))\n")
END
given 0 verify net.onnx safe.vnnlib --timeout 20
given 10 verify net.onnx unsafe.vnnlib --timeout 20
given 0 reproduce lecture-sam --seeds 1 --row SGD

inradius evidence --schema >schema.json
for run in first second real solved; do
    inradius evidence "$run" --out "evidence-$run" >/dev/null 2>&1
    if check-jsonschema --schemafile schema.json "evidence-$run/evidence.json" >"$work/log" 2>&1; then
        row ok "the evidence of the run $run follows the schema"
    else
        failed=1
        row WRONG "the evidence of the run $run"
        tail -8 "$work/log"
    fi
done

for name in $(python -c 'import typer; from inradius.cli.app import app; print(*typer.main.get_command(app).commands)'); do
    [[ "$called" == *" $name "* ]] || { failed=1; row WRONG "inradius $name was not called"; }
done
exit $failed
