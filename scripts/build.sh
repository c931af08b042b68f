#!/usr/bin/env bash
# Builds the program alone, Release, and leaves it at build/edgellm.
set -euo pipefail
cd "$(dirname "$0")/.."

# A build folder that a developer configured with the tests keeps its settings.
if [ ! -f build/build.ninja ]; then
  echo "build: configuring (cmake)"
  cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DEDGELLM_TESTS=OFF >build.log 2>&1 || {
    cat build.log >&2
    rm -f build.log
    echo "build: cmake failed. 'scripts/install_packages.sh build' installs what it looks for; 'make clean' starts afresh." >&2
    exit 1
  }
  rm -f build.log
fi
echo "build: compiling with $(nproc) jobs"
cmake --build build --target edgellm || {
  echo "build: the compiler failed; its message is above. g++ 12 or newer, or clang 16 or newer, is needed." >&2
  exit 1
}
echo "build: the program is at build/edgellm"
