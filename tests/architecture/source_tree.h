// The sources of the repository, as the tests of this folder read them.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace edgellm {

struct SourceFile {
  std::string path;  // from the root of the repository: "core/base/result.h"
  std::vector<std::string> lines;
};

inline std::filesystem::path source_root() {
  const char* root = std::getenv("EDGELLM_SOURCE_DIR");
  return root ? root : ".";
}

inline std::vector<std::string> read_lines(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(std::move(line));
  return lines;
}

// The files under `folders` whose names end with one of `endings`, in order of their paths.
inline std::vector<SourceFile> read_sources(std::initializer_list<std::string_view> folders,
                                            std::initializer_list<std::string_view> endings) {
  std::vector<SourceFile> files;
  for (std::string_view folder : folders) {
    if (!std::filesystem::is_directory(source_root() / folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(source_root() / folder)) {
      const std::string path = std::filesystem::relative(entry.path(), source_root()).generic_string();
      const bool wanted =
          std::any_of(endings.begin(), endings.end(), [&](auto ending) { return path.ends_with(ending); });
      if (entry.is_regular_file() && wanted) files.push_back({path, read_lines(entry.path())});
    }
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

}  // namespace edgellm
