#!/usr/bin/env bash
# Formats every C++ source in place, or with --check only names those that are not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."
formatter=clang-format-14
command -v $formatter >/dev/null || {
  echo "format: needs clang-format 14 (other versions format differently): apt-get install clang-format-14" >&2
  exit 1
}
mapfile -t sources <<<"$(git ls-files -- '*.cpp' '*.h')"
if [ "${1:-}" = --check ]; then
  unformatted=0
  for source in "${sources[@]}"; do
    $formatter "$source" | cmp -s - "$source" || { echo "format: $source is not formatted" >&2; unformatted=1; }
  done
  if [ $unformatted = 1 ]; then echo "format: 'make format' mends it" >&2; exit 1; fi
else
  $formatter -i "${sources[@]}"
fi
