// The small files of /proc and /sys, each one fact.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace edgellm {

// The first line without the blanks, line ends and zeros (device trees) around it; nothing where there is no
// such file, where it may not be read, or where it is empty.
std::optional<std::string> read_system_line(const std::filesystem::path& path);
// That line as a whole number.
std::optional<int64_t> read_system_number(const std::filesystem::path& path);
// What stands in `folder` under names that begin with `prefix`, policy2 before policy10.
std::vector<std::filesystem::path> system_entries(const std::filesystem::path& folder,
                                                  std::string_view prefix);

}  // namespace edgellm
