// The "pre_tokenizer" of tokenizer.json, to and from the table of pre-tokenizers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/base/result.h"
#include "core/text/pre_tokenizer.h"

namespace edgellm {

// Error for a pre-tokenizer whose patterns are in no row of the table; it shows them.
Result<const PreTokenizerKind*> recognize_pre_tokenizer(const nlohmann::json& pre_tokenizer,
                                                        bool ignore_merges);
nlohmann::ordered_json hugging_face_pre_tokenizer(const PreTokenizerKind& kind);
// Whether a byte-level step is part of it (also for a "decoder").
bool has_byte_level(const nlohmann::json& step);

}  // namespace edgellm
