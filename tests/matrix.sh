#!/usr/bin/env bash
# Builds wheel and sdist, and tries them without the source tree in an empty environment for each case; prints a table.
#
#   tests/matrix.sh [CASE...]       a case is a version of Python, or one with a version of torch: 3.11 3.12 3.13 3.11+2.6.0
#
# By default: each Python that is supported with the tested torch of constraints.txt, and the oldest torch that pyproject.toml
# allows. Interpreters are python3.X on the path. A case takes the space of torch, with CUDA where its index has no other wheel;
# pip's settings (PIP_EXTRA_INDEX_URL, PIP_CONSTRAINT) can name wheels for CPUs.
set -uo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=1 PIP_DISABLE_PIP_VERSION_CHECK=1

oldest="$(sed -n 's/^ *"torch>=\([0-9.]*\)".*/\1/p' "$root/pyproject.toml")"
cases=("$@")
[ ${#cases[@]} -gt 0 ] || cases=(3.11 3.12 3.13 "3.11+$oldest.0")

# parts that read no file of the source tree but their own
tests=(tests/components tests/sets tests/attacks tests/certifiers tests/plugins/lp tests/plugins/sets tests/plugins/gradient
    tests/plugins/bounds/test_crown.py tests/plugins/bounds/test_operators.py tests/bracketing --ignore tests/components/test_classes.py)

python3 -m venv "$work/build" && "$work/build/bin/pip" install -q build || exit 2
"$work/build/bin/python" -m build -q --outdir "$work/dist" "$root" || exit 2
wheel="$(echo "$work"/dist/*.whl)"

# the tests alone, with no source beside them
mkdir "$work/away"
cp -r "$root/tests" "$root/pyproject.toml" "$work/away"
cd "$work/away" || exit 2

try() {
    local python="${1%%+*}" torch="" place="$work/env" pins="$root/constraints.txt"
    case "$1" in *+*) torch="${1#*+}" ;; esac
    if [ -n "$torch" ]; then
        grep -v '^torch==\|^nvidia\|^triton\|^sympy' "$pins" >"$work/pins.txt"
        echo "torch==$torch" >>"$work/pins.txt"
        pins="$work/pins.txt"
    fi
    rm -rf "$place"
    "python$python" -m venv "$place" 2>"$work/log" || { echo "no interpreter python$python"; return 1; }
    "$place/bin/pip" install -q -c "$pins" "inradius[demo,testing] @ file://$wheel" pytest-xdist 2>"$work/log" ||
        { echo "install: $(tail -1 "$work/log")"; return 1; }
    "$place/bin/inradius" bracket --model shapes_mlp_certified --data shapes --threat 'linf(eps=0.02)' --attack pgd \
        --certifier crown --count 20 --out "$work/run" >"$work/log" 2>&1 || { echo "first command: $(tail -1 "$work/log")"; return 1; }
    rm -rf "$work/run"
    "$place/bin/python" -m pytest -q -n 2 -p no:cacheprovider "${tests[@]}" >"$work/log" 2>&1
    local code=$?
    tail -1 "$work/log"
    [ $code -eq 0 ] || grep '^FAILED\|^ERROR' "$work/log"
    return $code
}

failed=0
printf '%-14s %s\n' case result
for each in "${cases[@]}"; do
    found="$(try "$each")" || failed=1
    printf '%-14s %s\n' "$each" "$found"
done
exit $failed
