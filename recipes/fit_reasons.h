// Why a fit wrote what it wrote, in sentences.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace edgellm {

// Of a fit's report as docs/formats.md has it, but for "why", which this is: how near the result is beside
// what was tried, and what leaving parts out was worth.
std::vector<std::string> fit_reasons(const nlohmann::json& report);

}  // namespace edgellm
