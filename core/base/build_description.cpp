#include "core/base/build_description.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace edgellm {

BuildDescription describe_build() {
  BuildDescription build;
  build.version = EDGELLM_VERSION;
#if defined(__clang__)
  build.compiler = fmt::format("Clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  build.compiler = fmt::format("GCC {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
  build.build_type = EDGELLM_BUILD_TYPE;
  build.sanitizers = EDGELLM_SANITIZERS;
  return build;
}

std::string to_string(const BuildDescription& build) {
  return fmt::format("edgellm {}, {}, {}{}{}", build.version, build.compiler, build.build_type,
                     build.sanitizers.empty() ? "" : ", sanitizers: ", build.sanitizers);
}

void to_json(nlohmann::json& j, const BuildDescription& build) {
  j = {{"version", build.version}, {"compiler", build.compiler}, {"build_type", build.build_type}};
  if (!build.sanitizers.empty()) j["sanitizers"] = build.sanitizers;
}

}  // namespace edgellm
