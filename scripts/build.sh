#!/usr/bin/env bash
# Builds the program alone, Release, and leaves it at build/edgellm.
#
#   scripts/build.sh           edgellm
#   scripts/build.sh compress  edgellm-torch too, which needs LibTorch
set -euo pipefail
cd "$(dirname "$0")/.."
programs=(edgellm)
if [ "${1:-}" = compress ]; then programs+=(edgellm-torch); fi

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
if [ "${1:-}" = compress ]; then
  # The folder may have been configured before LibTorch was there.
  cmake build -DEDGELLM_TORCH=ON >build.log 2>&1 || {
    tail -n 20 build.log >&2
    rm -f build.log
    echo "build: cmake found no LibTorch. 'scripts/install_packages.sh compress' installs it; for your own:" >&2
    echo "  cmake build -DEDGELLM_TORCH=ON -DCMAKE_PREFIX_PATH=FOLDER" >&2
    exit 1
  }
  rm -f build.log
fi
echo "build: compiling with $(nproc) jobs"
cmake --build build --target "${programs[@]}" || {
  echo "build: the compiler failed; its message is above. g++ 12 or newer, or clang 16 or newer, is needed." >&2
  exit 1
}
echo "build: done: ${programs[*]/#/build/}"
