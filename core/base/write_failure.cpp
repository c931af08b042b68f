#include "core/base/write_failure.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <string_view>

namespace edgellm {
namespace {

// Stands in the message of whoever passes the error on, too.
constexpr std::string_view kStartAgain = " and start again";

std::string_view what_to_do(int error_number) {
  switch (error_number) {
    case ENOSPC:
      return "make room";
    case EDQUOT:
      return "make room in your quota";
    case EFBIG:
      return "allow larger files (ulimit -f, or another file system)";
    default:
      return {};
  }
}

}  // namespace

std::string write_failure(int error_number) {
  const std::string_view advice = what_to_do(error_number);
  if (advice.empty()) return std::strerror(error_number);
  return fmt::format("{}: {}{}", std::strerror(error_number), advice, kStartAgain);
}

bool is_of_full_disk(const Error& error) {
  return error.message.find(kStartAgain) != std::string::npos;
}

}  // namespace edgellm
