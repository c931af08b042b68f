// A plan's file written from tensors that are encoded already.
#pragma once

#include <filesystem>

#include "core/base/progress.h"
#include "recipes/candidate_store.h"
#include "recipes/quantize.h"

namespace edgellm {

// What the store does not hold yet it encodes. The output must not be the source. Interrupted between
// tensors.
Status write_stored_model(const GgufFile& source, const QuantizationPlan& plan, CandidateStore& store,
                          const std::filesystem::path& output, const Progress& progress);

}  // namespace edgellm
