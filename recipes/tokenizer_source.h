// Where a model that is made takes its tokenizer from: another model.
#pragma once

#include <filesystem>

#include "core/base/metadata.h"
#include "core/base/result.h"

namespace edgellm {

// The tokenizer.* keys of a GGUF file or of a Hugging Face folder.
Result<Metadata> read_tokenizer(const std::filesystem::path& model);

// $EDGELLM_MODELS, or edgellm/models in $XDG_CACHE_HOME (~/.cache): where scripts/quickstart.sh puts models.
std::filesystem::path default_models_folder();

// Of the models in `folder`, the one whose tokenizer fits n_tokens best: the fewest tokens that are enough,
// else the most. Error, where none can be used, says what to give.
Result<std::filesystem::path> find_tokenizer(const std::filesystem::path& folder, size_t n_tokens);

}  // namespace edgellm
