// Runs a fuzz target over files, for compilers without libFuzzer: every file of the folders given, or the
// files given.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/fuzz/fuzz_input.h"

namespace {

bool replay(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    return false;
  }
  const std::vector<char> bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return true;
}

}  // namespace

int main(int n_arguments, char** arguments) {
  size_t n_replayed = 0;
  for (int i = 1; i < n_arguments; ++i) {
    const std::filesystem::path path = arguments[i];
    if (!std::filesystem::is_directory(path)) {
      if (!replay(path)) return 1;
      ++n_replayed;
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (!replay(entry.path())) return 1;
      ++n_replayed;
    }
  }
  std::printf("%zu inputs replayed\n", n_replayed);
  return n_replayed > 0 ? 0 : 1;
}
