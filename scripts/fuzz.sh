#!/usr/bin/env bash
# Runs every fuzz target of a build made with EDGELLM_FUZZERS=ON.
#
#   scripts/fuzz.sh [BUILD_FOLDER] [TARGET...]     (build-fuzz and all; a target is named as in tests/fuzz/TARGET_fuzz.cpp)
#
# Each tries EDGELLM_FUZZ_RUNS inputs from a fixed seed (5000), or goes on for EDGELLM_FUZZ_SECONDS where that is set.
# What it finds new stays in BUILD_FOLDER/fuzz/TARGET; an input that fails stays there too, under the name of the failure.
set -euo pipefail
cd "$(dirname "$0")/.."
build="${1:-build-fuzz}"
shift || true

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for source in tests/fuzz/*_fuzz.cpp; do targets+=("$(basename "${source%_fuzz.cpp}")"); done
fi
if [ -n "${EDGELLM_FUZZ_SECONDS:-}" ]; then
  limit=("-max_total_time=$EDGELLM_FUZZ_SECONDS")
else
  limit=("-runs=${EDGELLM_FUZZ_RUNS:-5000}" "-seed=1")
fi

for target in "${targets[@]}"; do
  program="$build/tests_fuzz_$target"
  if [ ! -x "$program" ]; then
    echo "fuzz: no $program: build it with 'cmake --preset fuzz && cmake --build --preset fuzz'" >&2
    exit 1
  fi
  found="$build/fuzz/$target"
  mkdir -p "$found"
  inputs=()
  for kind in corpus regressions; do
    if [ -d "tests/fuzz/$kind/$target" ]; then inputs+=("tests/fuzz/$kind/$target"); fi
  done
  if ! "$program" "${limit[@]}" -timeout=60 -rss_limit_mb=2048 -max_len=16384 -artifact_prefix="$found/" -verbosity=0 \
      -print_final_stats=1 "$found" "${inputs[@]}" >"$found.log" 2>&1; then
    tail -n 40 "$found.log" >&2
    echo "fuzz: $target FAILED; the input is in $found, all output in $found.log" >&2
    exit 1
  fi
  printf '  %-16s %s inputs, no failure\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$found.log")"
done
