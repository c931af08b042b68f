// Times as people write them: "90m", "3h", "1h30m".
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace edgellm {

// Hours, minutes and seconds (h, m, s), the larger first, each a whole or decimal number. In seconds, above
// 0, at most a year.
Result<double> parse_duration(std::string_view text);
// A check for an option that takes a time.
std::function<std::string(const std::string&)> duration_check();
// "12.3s", "2m05s", "3h05m"
std::string duration_text(double seconds);

}  // namespace edgellm
