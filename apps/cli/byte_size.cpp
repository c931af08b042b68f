#include "apps/cli/byte_size.h"

#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <strings.h>

namespace edgellm {
namespace {

struct Unit {
  const char* name;
  double n_bytes;
};
constexpr Unit kUnits[] = {{"", 1},        {"b", 1},          {"k", 1e3},          {"kb", 1e3},
                           {"m", 1e6},     {"mb", 1e6},       {"g", 1e9},          {"gb", 1e9},
                           {"kib", 1024.}, {"mib", 1048576.}, {"gib", 1073741824.}};

}  // namespace

Result<uint64_t> parse_byte_size(std::string_view text) {
  std::string copy(text);
  char* end = nullptr;
  double number = std::strtod(copy.c_str(), &end);
  while (*end == ' ') ++end;
  if (end != copy.c_str() && std::isfinite(number) && number > 0)
    for (const Unit& unit : kUnits)
      if (strcasecmp(unit.name, end) == 0 && number * unit.n_bytes < 9e18)
        return uint64_t(number * unit.n_bytes);
  return Error{fmt::format("'{}' is no size: write it like 700MB, 1.5GiB or 2000000000", text)};
}

Result<double> parse_share(std::string_view text) {
  std::string copy(text);
  char* end = nullptr;
  double number = std::strtod(copy.c_str(), &end);
  if (end != copy.c_str() && std::string_view(end) == "%" && number > 0 && number <= 100) return number / 100;
  return Error{fmt::format("'{}' is no share: write it like 60%", text)};
}

std::function<std::string(const std::string&)> byte_size_check(bool or_share) {
  return [or_share](const std::string& text) -> std::string {
    if (or_share && text.ends_with('%')) {
      auto share = parse_share(text);
      return share.ok() ? "" : share.error().message;
    }
    auto size = parse_byte_size(text);
    return size.ok() ? "" : size.error().message;
  };
}

std::string byte_size_text(uint64_t n_bytes) {
  if (n_bytes >= 10'000'000'000) return fmt::format("{:.2f} GB", double(n_bytes) / 1e9);
  return fmt::format("{:.1f} MB", double(n_bytes) / 1e6);
}

}  // namespace edgellm
