#include "core/base/system_file.h"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace edgellm {

std::optional<std::string> read_system_line(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string line;
  if (!in || !std::getline(in, line)) return std::nullopt;
  static constexpr std::string_view kBlank("\0 \t\r\n", 5);
  size_t begin = line.find_first_not_of(kBlank), end = line.find_last_not_of(kBlank);
  if (begin == std::string::npos) return std::nullopt;
  return line.substr(begin, end - begin + 1);
}

std::optional<int64_t> read_system_number(const std::filesystem::path& path) {
  auto line = read_system_line(path);
  int64_t number = 0;
  if (!line) return std::nullopt;
  auto [end, code] = std::from_chars(line->data(), line->data() + line->size(), number);
  if (code != std::errc() || end != line->data() + line->size()) return std::nullopt;
  return number;
}

std::vector<std::filesystem::path> system_entries(const std::filesystem::path& folder,
                                                  std::string_view prefix) {
  std::vector<std::filesystem::path> found;
  std::error_code code;
  for (std::filesystem::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code))
    if (entry->path().filename().string().starts_with(prefix)) found.push_back(entry->path());
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    const std::string &x = a.native(), &y = b.native();
    return x.size() != y.size() ? x.size() < y.size() : x < y;
  });
  return found;
}

}  // namespace edgellm
