// The few lines at the head of a Hugging Face README.md that travel with a model: license, languages, tags.
#pragma once

#include <filesystem>

#include "core/base/metadata.h"
#include "core/base/result.h"

namespace edgellm {

// Sets general.license, general.languages and general.tags where the folder's README.md gives them. A card
// that is missing or of another form gives nothing.
void read_model_card(const std::filesystem::path& folder, Metadata& metadata);
Status write_model_card(const Metadata& metadata, const std::filesystem::path& folder);

}  // namespace edgellm
