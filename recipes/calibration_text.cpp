#include "recipes/calibration_text.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/content_hash.h"
#include "recipes/calibration_windows.h"
#include "recipes/dialogues.h"
#include "recipes/prompt_format.h"

namespace edgellm {
namespace {

std::string words_text(size_t n_tokens) {
  return fmt::format("about {} words", n_tokens * 3 / 4);
}

std::vector<Token> tokens_of(const std::string& text, const Tokenizer& tokenizer) {
  return tokenizer.encode(text, {.add_special = false, .parse_special = true});
}

// One after another, in the model's chat format where it has one.
Result<std::string> text_of_dialogues(const std::filesystem::path& file, const PromptFormat& format) {
  EDGELLM_ASSIGN_OR_RETURN(const std::vector<Dialogue> dialogues, read_dialogues(file));
  std::string text;
  for (const Dialogue& dialogue : dialogues) {
    if (dialogue.messages.empty()) {
      text += dialogue.text + "\n\n";
    } else if (format.has_template()) {
      auto rendered = format.finished_text_of(dialogue.messages);
      if (!rendered.ok())
        return Error{fmt::format("{}:{}: the model's chat template refuses this: {}", file.string(),
                                 dialogue.line, rendered.error().message)};
      text += *rendered;
    } else {
      for (const ChatMessage& message : dialogue.messages) text += message.content + "\n\n";
    }
  }
  return text;
}

Result<CalibrationText> cut(std::vector<CalibrationSource> sources, bool has_weights,
                            const Tokenizer& tokenizer, size_t n_context, size_t fewest_windows) {
  WindowOptions options;
  options.n_tokens = n_context;
  if (tokenizer.adds_bos() && tokenizer.bos() >= 0) options.bos = tokenizer.bos();
  for (CalibrationSource& source : sources) {
    const size_t n = source.tokens.size() / options.n_fresh();
    if (n == 0 && sources.size() > 1)
      return Error{
          fmt::format("calibration text '{}' has {} tokens, which is no window of {} ({}); join short "
                      "files into one",
                      source.name, source.tokens.size(), n_context, words_text(n_context))};
    if (!has_weights) source.weight = double(std::max<size_t>(n, 1));
  }
  options.n_windows = most_windows(sources, options);
  if (options.n_windows < std::max<size_t>(fewest_windows, 1))
    return Error{fmt::format(
        "the calibration text gives {} windows of {} tokens{}; at least {} are needed ({} in all)",
        options.n_windows, n_context, has_weights ? " with these weights" : "", fewest_windows,
        words_text(fewest_windows * n_context))};
  CalibrationText text;
  text.n_context = n_context;
  EDGELLM_ASSIGN_OR_RETURN(text.windows, draw_windows(sources, options));
  std::string all;
  for (const auto& window : text.windows) all += hash_bytes(std::as_bytes(std::span(window)));
  text.hash = hash_text(all);
  for (const CalibrationSource& source : sources)
    text.sources.push_back(
        {source.name, source.tokens.size(), has_weights ? std::optional(source.weight) : std::nullopt});
  return text;
}

}  // namespace

std::vector<std::string> CalibrationText::source_names() const {
  std::vector<std::string> names;
  for (const TextShare& source : sources) names.push_back(source.name);
  return names;
}

nlohmann::json to_json(const CalibrationText& text) {
  nlohmann::json j = {{"windows", text.windows.size()},
                      {"window_tokens", text.n_context},
                      {"hash", text.hash},
                      {"sources", nlohmann::json::array()}};
  for (const TextShare& source : text.sources) {
    j["sources"].push_back({{"name", source.name}, {"tokens", source.n_tokens}});
    if (source.weight) j["sources"].back()["weight"] = *source.weight;
  }
  return j;
}

Result<CalibrationText> read_calibration_text(std::span<const TextSource> sources, const GgufFile& model,
                                              const Tokenizer& tokenizer, size_t n_context,
                                              size_t fewest_windows) {
  PromptFormat format(tokenizer);
  if (std::ranges::any_of(sources, [](const TextSource& s) { return is_dialogue_file(s.file); })) {
    EDGELLM_ASSIGN_OR_RETURN(format, PromptFormat::from_file(model, tokenizer));
  }
  std::vector<CalibrationSource> read;
  for (const TextSource& source : sources) {
    EDGELLM_ASSIGN_OR_RETURN(const std::string text, is_dialogue_file(source.file)
                                                         ? text_of_dialogues(source.file, format)
                                                         : read_source_text(source.file));
    read.push_back({source.file.filename().string(), tokens_of(text, tokenizer), source.weight.value_or(1)});
  }
  const bool has_weights = std::ranges::any_of(sources, [](const TextSource& s) { return bool(s.weight); });
  return cut(std::move(read), has_weights, tokenizer, n_context, fewest_windows);
}

Result<CalibrationText> cut_calibration_text(const std::string& text, const std::string& source,
                                             const Tokenizer& tokenizer, size_t n_context,
                                             size_t fewest_windows) {
  return cut({{source, tokens_of(text, tokenizer)}}, false, tokenizer, n_context, fewest_windows);
}

TextParts text_parts(const CalibrationText& text, size_t n_verify, size_t n_search, size_t first_row) {
  const size_t n_most = text.windows.size() / 4;
  TextParts parts;
  parts.n_verify = std::min(n_verify, n_most), parts.n_search = std::min(n_search, n_most);
  parts.verify = windows_of(text, 0, parts.n_verify, first_row);
  parts.search = windows_of(text, parts.n_verify, parts.n_search, first_row);
  parts.little = windows_of(text, parts.n_verify, std::max<size_t>(1, parts.n_search / 4), first_row);
  return parts;
}

TextWindows windows_of(const CalibrationText& text, size_t first, size_t count, size_t first_row) {
  TextWindows windows;
  windows.convention = WindowConvention::all_tokens;
  windows.n_context = text.n_context;
  windows.first_row = first_row;
  for (size_t i = first; i < first + count && i < text.windows.size(); ++i)
    windows.windows.push_back(text.windows[i]);
  return windows;
}

}  // namespace edgellm
