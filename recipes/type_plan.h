// A type for every tensor by name, from a file: lines that people write, or the report of a fit. The form is
// in docs/formats.md, "Plans".
#pragma once

#include <filesystem>

#include "recipes/quantize.h"

namespace edgellm {

// Changes `plan` as the file says. Lines are "NAME TYPE" or "PATTERN TYPE", where * stands for any characters
// and ? for one, later lines before earlier ones; what follows # is a comment. A report of a fit
// (OUTPUT.json) gives every tensor's type and the dropped layers, and must be of this very model, by hash.
// Error names the file, and the line of a text.
// A report whose fit left out an output matrix that repeats the embedding leaves it out of `source` too.
Status apply_type_plan(const std::filesystem::path& file, GgufFile& source, QuantizationPlan& plan);

}  // namespace edgellm
