#include "recipes/fit_reference.h"

#include "core/base/output_file.h"
#include "recipes/json_file.h"

namespace edgellm {

Result<FitReference> fit_reference(LanguageModel& original, const TextWindows& text, const std::string& key,
                                   const std::filesystem::path& folder, const std::string& name,
                                   const Progress& progress) {
  const auto path = folder / (name + ".reference"), perplexity_path = folder / (name + ".json");
  auto perplexity = read_json<double>(perplexity_path);
  auto opened = ReferenceLogits::open(path, text, key);
  if (!opened.ok() || !perplexity) {
    EDGELLM_ASSIGN_OR_RETURN(PerplexityResult recorded,
                             ReferenceLogits::record(original, text, key, path, progress));
    perplexity = recorded.perplexity;
    EDGELLM_RETURN_IF_ERROR(write_text_file(perplexity_path, nlohmann::json(*perplexity).dump()));
    opened = ReferenceLogits::open(path, text, key);
    if (!opened.ok()) return opened.error();
  }
  return FitReference{std::make_unique<ReferenceLogits>(std::move(*opened)), *perplexity};
}

}  // namespace edgellm
