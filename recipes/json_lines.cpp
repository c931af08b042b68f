#include "recipes/json_lines.h"

#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/write_failure.h"

namespace edgellm {
namespace {

bool ends_in_a_line(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in || in.tellg() == std::streampos(0)) return true;
  in.seekg(-1, std::ios::end);
  return in.get() == '\n';
}

}  // namespace

std::vector<nlohmann::json> read_json_lines(const std::filesystem::path& path) {
  std::vector<nlohmann::json> values;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    auto value = nlohmann::json::parse(line, nullptr, false);
    if (!value.is_discarded()) values.push_back(std::move(value));
  }
  return values;
}

std::string json_line(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Status append_json_line(const std::filesystem::path& path, const nlohmann::json& value) {
  const bool is_torn = !ends_in_a_line(path);
  errno = 0;
  std::ofstream out(path, std::ios::app);
  if (is_torn) out << '\n';
  out << json_line(value) << std::flush;
  return out ? Status() : Error{fmt::format("cannot write {}: {}", path.string(), write_failure(errno))};
}

}  // namespace edgellm
