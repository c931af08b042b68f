// A bench on the terminal.
#pragma once

#include <string>
#include <vector>

#include "recipes/bench.h"
#include "recipes/device_profile.h"

namespace edgellm {

// One device's figures, a line each.
std::string bench_text(const BenchRun& run, const BenchOptions& options);

// model x size x device x output length x seconds per token, in Markdown.
std::string bench_table(const std::string& model, uint64_t n_model_bytes, const std::vector<BenchRun>& runs);

// A line for each type: bits, and how many weights a second.
std::string device_profile_text(const DeviceProfile& profile);

}  // namespace edgellm
