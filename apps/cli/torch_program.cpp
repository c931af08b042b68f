#include "apps/cli/torch_program.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <string_view>
#include <unistd.h>

#include "recipes/compress/compress.h"

namespace edgellm {
namespace {

char** arguments = nullptr;

struct Variable {
  const char *name, *value;
  bool is_of_pages;
};
constexpr Variable kTorchVariables[] = {
    // OpenMP's threads spin while they wait, on cores that the threads of an OpenBLAS without OpenMP want.
    {"OMP_WAIT_POLICY", "passive", false},
    // LibTorch asks for new memory for each result; in large pages, clearing it takes a fraction of the time.
    {"GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", true}};

// Set in the program that another process, or itself, has started with these variables.
constexpr const char* kStarted = "EDGELLM_TORCH_STARTED";

std::filesystem::path own_folder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

// Returns only if it cannot.
Error start_with_variables(const std::filesystem::path& program, std::string_view what) {
  // Where a page has 64 KiB, a large one has half a gigabyte.
  const bool has_large_pages = ::sysconf(_SC_PAGESIZE) == 4096;
  for (const Variable& v : kTorchVariables)
    if (has_large_pages || !v.is_of_pages) ::setenv(v.name, v.value, 0);
  ::setenv(kStarted, "1", 1);
  ::execv(program.c_str(), arguments);
  return Error{
      fmt::format("{} needs LibTorch: cannot run {}: {}", what, program.string(), std::strerror(errno))};
}

}  // namespace

void keep_arguments_for_torch(char** argv) {
  arguments = argv;
}

Status need_torch(std::string_view what) {
  if (compress_is_linked()) {
    // The loader and OpenMP read them before main: a program started by hand starts itself again.
    if (!std::getenv(kStarted) && arguments) return start_with_variables("/proc/self/exe", what);
    ::unsetenv(kStarted);
    // They were for this process and have been read; programs that it starts get what the user has.
    for (const Variable& v : kTorchVariables)
      if (const char* value = std::getenv(v.name); value && value == std::string_view(v.value))
        ::unsetenv(v.name);
    return {};
  }
  std::error_code error;
  const std::filesystem::path folder = own_folder(), program = folder / "edgellm-torch";
  if (!std::filesystem::exists(program, error))
    return Error{fmt::format(
        "{} needs LibTorch, and there is no edgellm-torch in {}: install libtorch-dev "
        "(scripts/install_packages.sh compress) and build the target edgellm-torch, or configure with "
        "-DEDGELLM_TORCH=ON and your own LibTorch's folder in CMAKE_PREFIX_PATH",
        what, folder.string())};
  return start_with_variables(program, what);
}

std::filesystem::path program_without_torch() {
  std::error_code error;
  const std::filesystem::path beside = own_folder() / "edgellm";
  return compress_is_linked() && std::filesystem::exists(beside, error) ? beside : "/proc/self/exe";
}

}  // namespace edgellm
