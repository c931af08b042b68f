// How this program was built, so that a figure can be repeated.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace edgellm {

struct BuildDescription {
  std::string version;     // of edgellm
  std::string compiler;    // "GCC 12.2.0"
  std::string build_type;  // CMake's: "Release"
  std::string sanitizers;  // empty: none
};

BuildDescription describe_build();
// "edgellm 0.1.0, GCC 12.2.0, Release"
std::string to_string(const BuildDescription& build);
void to_json(nlohmann::json& j, const BuildDescription& build);

}  // namespace edgellm
