#include "recipes/answer_pairs.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/output_file.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;

struct Records {
  std::vector<std::string> texts;
  std::vector<size_t> lines;  // of each text, from 1
};

Result<std::string> text_of(std::string_view line, const std::string& key) {
  Json json = Json::parse(line, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return Error{"this is no JSON object"};
  auto found = json.find(key);
  if (found == json.end()) return Error{fmt::format("it has no key '{}'", key)};
  if (!found->is_string())
    return Error{fmt::format("'{}' is of type {}, wanted a string", key, found->type_name())};
  return found->get<std::string>();
}

Result<Records> read_records(const std::filesystem::path& path, const std::string& key) {
  EDGELLM_ASSIGN_OR_RETURN(std::string content, read_text_file(path));
  bool is_json = path.extension() == ".jsonl";
  Records records;
  std::string_view rest = content;
  for (size_t n_line = 1; !rest.empty(); ++n_line) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!is_json) {
      records.texts.emplace_back(line);
    } else if (line.empty()) {
      continue;
    } else {
      auto text = text_of(line, key);
      if (!text.ok()) return Error{fmt::format("{}:{}: {}", path.string(), n_line, text.error().message)};
      records.texts.push_back(std::move(*text));
    }
    records.lines.push_back(n_line);
  }
  if (records.texts.empty()) return Error{fmt::format("{}: it has no texts", path.string())};
  return records;
}

}  // namespace

std::vector<TextPair> AnswerPairs::pairs() const {
  std::vector<TextPair> views;
  views.reserve(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) views.push_back({candidates[i], references[i]});
  return views;
}

Result<AnswerPairs> read_answer_pairs(const AnswerFiles& files) {
  EDGELLM_ASSIGN_OR_RETURN(Records candidates, read_records(files.candidates, files.candidate_key));
  EDGELLM_ASSIGN_OR_RETURN(Records references, read_records(files.references, files.reference_key));
  for (size_t i = 0; i < references.texts.size(); ++i)
    if (references.texts[i].find_first_not_of(" \t\r\n\f\v") == std::string::npos)
      return Error{fmt::format("{}:{}: the reference is empty: there is nothing to compare with",
                               files.references.string(), references.lines[i])};
  if (candidates.texts.size() != references.texts.size())
    return Error{fmt::format("{} has {} texts, {} has {}: wanted a reference for every candidate",
                             files.candidates.string(), candidates.texts.size(), files.references.string(),
                             references.texts.size())};
  return AnswerPairs{std::move(candidates.texts), std::move(references.texts)};
}

}  // namespace edgellm
