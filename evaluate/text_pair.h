// What a metric of answers compares.
#pragma once

#include <string_view>

namespace edgellm {

struct TextPair {
  std::string_view candidate, reference;  // UTF-8
};

}  // namespace edgellm
