// What a fit did, on the terminal.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace edgellm {

// Of its report (docs/formats.md).
void print_fit(const nlohmann::json& report);

}  // namespace edgellm
