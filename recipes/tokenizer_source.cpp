#include "recipes/tokenizer_source.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <vector>

#include "core/model_file/gguf.h"
#include "core/text/resized_vocabulary.h"
#include "core/text/tokenizer.h"

namespace edgellm {

namespace fs = std::filesystem;

Result<Metadata> read_tokenizer(const fs::path& model) {
  std::error_code code;
  Metadata tokenizer;
  if (fs::is_directory(model, code)) {
    EDGELLM_RETURN_IF_ERROR(tokenizer_metadata_from_hf(model, tokenizer));
    return tokenizer;
  }
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(model));
  for (const auto& [key, value] : file.metadata().entries())
    if (key.starts_with("tokenizer.")) tokenizer.set(key, value);
  if (!tokenizer.contains("tokenizer.ggml.tokens"))
    return Error{fmt::format("{} has no tokenizer", model.string())};
  return tokenizer;
}

fs::path default_models_folder() {
  auto given = [](const char* name) -> fs::path {
    const char* value = std::getenv(name);
    return value ? value : "";
  };
  if (fs::path folder = given("EDGELLM_MODELS"); !folder.empty()) return folder;
  fs::path cache = given("XDG_CACHE_HOME");
  if (cache.empty()) cache = given("HOME") / ".cache";
  return cache / "edgellm" / "models";
}

Result<fs::path> find_tokenizer(const fs::path& folder, size_t n_tokens) {
  std::error_code code;
  std::vector<fs::path> models;
  for (const auto& entry : fs::directory_iterator(folder, code))
    if (entry.path().extension() == ".gguf" || fs::exists(entry.path() / "tokenizer.json", code))
      models.push_back(entry.path());
  std::sort(models.begin(), models.end());
  fs::path best;
  size_t n_best = 0;
  for (const fs::path& model : models) {
    auto tokenizer = read_tokenizer(model);
    if (!tokenizer.ok() || !resize_vocabulary(*tokenizer, n_tokens).ok()) continue;
    size_t n = *n_used_tokens(*tokenizer);
    bool is_enough = n >= n_tokens, best_is = n_best >= n_tokens;
    if (best.empty() || (is_enough ? !best_is || n < n_best : !best_is && n > n_best)) {
      best = model;
      n_best = n;
    }
  }
  if (!best.empty()) return best;
  return Error{fmt::format(
      "no model with a tokenizer for {} tokens is in {}: give one with --tokenizer, a GGUF file or "
      "a Hugging Face folder",
      n_tokens, folder.string())};
}

}  // namespace edgellm
