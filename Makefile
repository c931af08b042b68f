# Short names for the longer scripts; the build itself is CMake's (cmake --preset release, see CMakePresets.json).
.PHONY: help quickstart build compress test format clean
.DEFAULT_GOAL := help

help:
	@echo "make quickstart  packages, build, fetch a small model, fit it to 60% of its size, ask it a question"
	@echo "make build       the program, at build/edgellm"
	@echo "make compress    the same and build/edgellm-torch, for what needs LibTorch (a large package)"
	@echo "make test        every test: release, sanitizers, aarch64 under qemu, fuzz targets, format"
	@echo "make format      format every source"
	@echo "make clean       delete the build folders"

quickstart:
	@scripts/quickstart.sh

build:
	@scripts/install_packages.sh build
	@scripts/build.sh

compress:
	@scripts/install_packages.sh compress
	@scripts/build.sh compress

test:
	@scripts/test.sh

format:
	@scripts/format.sh

clean:
	rm -rf build build-test build-sanitize build-aarch64
