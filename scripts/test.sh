#!/usr/bin/env bash
# Every check of the project, in stages; stops at the first that fails. The last lines are ctest's.
#
#   format    clang-format 14 on every source
#   release   g++, warnings are errors; all tests (run at the very end)
#   aarch64   kernels and blocks for 64-bit Arm under qemu, as a CPU without and with i8mm
#   sanitize  clang, warnings are errors, address and undefined-behaviour sanitizers; all tests; fuzz targets
set -euo pipefail
cd "$(dirname "$0")/.."

jobs="$(nproc)"
fuzz_runs="${EDGELLM_FUZZ_RUNS:-5000}"  # inputs a target
report=()
stage=packages
stage_start=$SECONDS

begin() { stage="$1"; stage_start=$SECONDS; printf '\n== test: %s: %s\n' "$1" "$2"; }
finish() { report+=("$(printf '%-9s %4d s  %s' "$stage" $((SECONDS - stage_start)) "$1")"); }
skip() { report+=("$(printf '%-9s skipped: %s' "$1" "$2")"); printf '\n== test: %s: skipped: %s\n' "$1" "$2"; }
on_exit() {
  local status=$?
  rm -f "$log"
  if [ $status -ne 0 ]; then
    printf '\ntest: FAILED in stage "%s"; the message is above. Mend it and run "make test" again:\n' "$stage" >&2
    printf 'what is built stays built. "make clean" starts afresh.\n' >&2
  fi
}
trap on_exit EXIT
log="$(mktemp)"
quietly() {  # Runs a command and shows its output only if it fails.
  "$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}
run_tests() {  # BUILD_FOLDER [ctest options]: the failures and the count; each test is listed only in the last stage.
  quietly ctest --test-dir "$1" -j "$jobs" --output-on-failure --no-tests=error "${@:2}"
  grep 'tests passed' "$log"
}

begin packages "what the tests need"
scripts/install_packages.sh test
finish "installed"

if [ "$(clang-format-14 --version 2>/dev/null | grep -c 'version 14')" = 1 ]; then
  begin format "clang-format 14"
  scripts/format.sh --check
  finish "every source is formatted"
else
  skip format "needs clang-format-14 (other versions format differently)"
fi

begin release "build with g++"
quietly cmake -S . -B build-test -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=g++ -DEDGELLM_WARNINGS_AS_ERRORS=ON
cmake --build build-test
finish "built"

if [ "$(uname -m)" = aarch64 ]; then
  skip aarch64 "this machine is one: the other stages test its kernels"
else
  begin aarch64 "kernels for 64-bit Arm under qemu"
  quietly cmake --preset aarch64 -DEDGELLM_WARNINGS_AS_ERRORS=ON
  arm_programs='(core_base|core_blocks|runtime_kernels[a-z0-9_]*)_test'
  mapfile -t targets <<<"$(ninja -C build-aarch64 -t targets all | grep -oE "^$arm_programs: CXX" | cut -d : -f 1)"
  cmake --build build-aarch64 --target "${targets[@]}"
  for cpu in cortex-a76 max; do
    echo "-- qemu CPU $cpu"
    quietly cmake --preset aarch64 -DEDGELLM_QEMU_CPU=$cpu
    run_tests build-aarch64 -R "^$arm_programs"
  done
  finish "passed as cortex-a76 (dotprod) and as max (i8mm)"
fi

clang=""
for version in 16 17 18 19; do
  if [ -z "$clang" ] && command -v "clang++-$version" >/dev/null; then clang="clang++-$version"; fi
done
if [ -z "$clang" ]; then
  skip sanitize "needs clang 16 or newer"
else
  # Where the stages before took this long, building everything again would take over an hour.
  whole=yes
  if [ $SECONDS -gt 1500 ] && [ -z "${EDGELLM_TEST_ALL:-}" ]; then whole=no; fi
  few_programs='(core_base|core_blocks|core_arch|core_model_file|plan|runtime_kernels)_test'
  begin sanitize "build with $clang, address and undefined-behaviour sanitizers"
  fuzzers=OFF
  if [ -f tests/fuzz/CMakeLists.txt ]; then fuzzers=ON; fi
  quietly cmake --preset sanitize -DCMAKE_CXX_COMPILER="$clang" -DCMAKE_C_COMPILER="${clang/++/}" \
    -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1" -DEDGELLM_WARNINGS_AS_ERRORS=ON -DEDGELLM_FUZZERS=$fuzzers
  if [ $whole = no ]; then
    mapfile -t targets <<<"$(ninja -C build-sanitize -t targets all | grep -oE "^$few_programs: CXX" | cut -d : -f 1)"
    cmake --build build-sanitize --target "${targets[@]}"
    run_tests build-sanitize -R "^$few_programs"
    finish "slow machine: only blocks, model files, plans and kernels, with $clang (EDGELLM_TEST_ALL=1 for all)"
  else
    cmake --build build-sanitize
    run_tests build-sanitize
    finish "all tests passed with $clang"
  fi
  if [ $whole = no ]; then
    skip fuzz "slow machine (EDGELLM_TEST_ALL=1 runs them)"
  elif [ $fuzzers = OFF ]; then
    skip fuzz "there are no fuzz targets"
  else
    begin fuzz "$fuzz_runs inputs a target"
    EDGELLM_FUZZ_RUNS=$fuzz_runs scripts/fuzz.sh build-sanitize
    finish "$fuzz_runs inputs a target"
  fi
fi

begin release "all tests"
models="${EDGELLM_MODELS:-$HOME/.cache/edgellm/models}"
shared="${EDGELLM_SHARED:-../shared}"
printf '\n== test: what ran\n'
printf '  %s\n' "${report[@]}"
if [ -d "$shared/golden" ]; then echo "  goldens   in $shared"; else echo "  goldens   none at $shared: their tests are skipped"; fi
if compgen -G "$models/*.gguf" >/dev/null; then
  echo "  models    $(find "$models" -maxdepth 1 -name '*.gguf' | wc -l) in $models"
else
  echo "  models    none in $models: their tests are skipped ('make quickstart' fetches one)"
fi
printf '\n'
ctest --test-dir build-test -j "$jobs" --output-on-failure --no-tests=error
