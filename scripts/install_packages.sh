#!/usr/bin/env bash
# Installs the Debian 12 or 13 packages that a job needs, and only those that are missing. Why each is needed:
# docs/dependencies.md.
#
#   scripts/install_packages.sh build      to build the program
#   scripts/install_packages.sh quickstart build, and pip to fetch the small model
#   scripts/install_packages.sh compress   build, and LibTorch, for edgellm-torch
#   scripts/install_packages.sh test       compress, and everything the tests need
#   scripts/install_packages.sh list JOB   print the packages of a job, install nothing
set -euo pipefail

build_packages=(make cmake ninja-build g++ pkg-config nlohmann-json3-dev libfmt-dev libpcre2-dev libutf8proc-dev
  libxxhash-dev libseccomp-dev libcli11-dev libedit-dev)
quickstart_packages=(python3-pip unzip)
# Without OpenBLAS the distribution's LibTorch multiplies matrices with the reference BLAS, many times slower. With
# threads of its own OpenBLAS fights for the cores with LibTorch's, which are OpenMP's.
compress_packages=(libtorch-dev libopenblas0-openmp)
test_packages=(libgtest-dev ccache python3)
# Another CPU's compiler, libraries and emulator; a machine that is arm64 itself tests its kernels directly.
cross_packages=(g++-aarch64-linux-gnu libfmt-dev:arm64 libpcre2-dev:arm64 libutf8proc-dev:arm64 libxxhash-dev:arm64
  libseccomp-dev:arm64 libgtest-dev:arm64)

die() { printf 'install_packages: %s\n' "$@" >&2; exit 1; }

# No grep -q at the end of a pipe: it leaves early, and the writer's broken pipe would count as a failure.
available() { apt-cache policy "$1" 2>/dev/null | grep 'Candidate: [^(]' >/dev/null; }
# NAME means this machine's architecture (or all), NAME:arm64 that one.
installed() {
  local architecture="${1#*:}"
  if [ "$architecture" = "$1" ]; then architecture="$native"; fi
  dpkg-query -W -f='${db:Status-Status} ${Architecture}\n' "${1%%:*}" 2>/dev/null |
    grep -E "^installed ($architecture|all)\$" >/dev/null
}
# The first of the names that is installed, or else that the distribution has.
first_of() {
  local name
  for name in "$@"; do if installed "$name"; then echo "$name"; return; fi; done
  for name in "$@"; do if available "$name"; then echo "$name"; return; fi; done
  echo "$1"
}
packages_of() {
  printf '%s\n' "${build_packages[@]}"
  if [ "$1" = quickstart ]; then printf '%s\n' "${quickstart_packages[@]}"; fi
  if [ "$1" = compress ] || [ "$1" = test ]; then printf '%s\n' "${compress_packages[@]}"; fi
  if [ "$1" != test ]; then return; fi
  printf '%s\n' "${test_packages[@]}"
  local clang
  clang="$(first_of clang-16 clang-19 clang-18 clang-17)"
  echo "$clang"
  echo "libclang-rt-${clang#clang-}-dev"
  # The format check asks for one version, since versions format differently.
  if installed clang-format-14 || available clang-format-14; then echo clang-format-14; fi
  if [ "$native" != arm64 ]; then
    printf '%s\n' "${cross_packages[@]}"
    first_of qemu-user-static qemu-user
  fi
}

job="${1:-}"
list_only=no
if [ "$job" = list ]; then list_only=yes; job="${2:-}"; fi
case "$job" in
  build | quickstart | compress | test) ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "install_packages: this is not Debian, so nothing is installed. What is needed, by Debian's names:"
  echo "  ${build_packages[*]}"
  exit 0
fi

native="$(dpkg --print-architecture)"
mapfile -t packages <<<"$(packages_of "$job")"
if [ $list_only = yes ]; then printf '%s\n' "${packages[@]}"; exit 0; fi
missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
if [ ${#missing[@]} -eq 0 ]; then
  echo "install_packages: everything that '$job' needs is installed."
  exit 0
fi

echo "install_packages: '$job' needs ${#missing[@]} more packages: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || die "Installing needs root, and there is no sudo. Ask an administrator for:" \
    "  apt-get install ${missing[*]}"
  as_root=(sudo)
fi
by_hand="Then run the same command again. By hand: apt-get update && apt-get install ${missing[*]}"

if [[ " ${missing[*]} " == *:arm64\ * ]] && ! dpkg --print-foreign-architectures | grep -x arm64 >/dev/null; then
  echo "install_packages: adding arm64 as a foreign architecture (dpkg --add-architecture arm64)"
  "${as_root[@]}" dpkg --add-architecture arm64 || die "dpkg refused the architecture arm64. $by_hand"
fi
echo "install_packages: reading the package lists (apt-get update)"
"${as_root[@]}" apt-get update -qq || echo "install_packages: apt-get update reported errors; going on with what it has." >&2
# Which clang or qemu the distribution has is known only after the lists are there.
mapfile -t packages <<<"$(packages_of "$job")"
missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
echo "install_packages: installing ${missing[*]} and what they need (a minute or two)"
apt_log="$(mktemp)"
trap 'rm -f "$apt_log"' EXIT
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" \
  >"$apt_log" 2>&1 </dev/null || {
  tail -n 40 "$apt_log" >&2
  die "apt-get could not install the packages; its last messages are above." \
    "Check the network and the package sources ('apt-get update'), and that this is Debian 12 or 13. $by_hand"
}
echo "install_packages: done."
