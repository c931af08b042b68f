// The original's predictions for the text that a fit measures and judges by, kept in its work folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "core/base/progress.h"
#include "evaluate/reference_logits.h"

namespace edgellm {

struct FitReference {
  std::unique_ptr<ReferenceLogits> logits;
  double perplexity = 0;  // of the original on this text
};

// What the folder has as NAME.reference and NAME.json is not recorded again. key: of the original.
Result<FitReference> fit_reference(LanguageModel& original, const TextWindows& text, const std::string& key,
                                   const std::filesystem::path& folder, const std::string& name,
                                   const Progress& progress);

}  // namespace edgellm
