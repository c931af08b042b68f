#include "evaluate/tasks/ag_news_task.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <regex>

#include "evaluate/tasks/item_reader.h"

namespace edgellm {
namespace {

constexpr std::array<std::string_view, 4> kLabels = {"World", "Sports", "Business", "Sci/Tech"};
constexpr size_t kMostTokens = 32;
constexpr std::string_view kPrompt =
    "Classify the news article into one of four categories: World, Sports, Business, Sci/Tech.\n\n"
    "Title: {title}\nArticle: {text}\n\nAnswer with the category only.";

// A backslash stands where the source had a line end.
std::string cleaned(std::string text) {
  std::replace(text.begin(), text.end(), '\\', ' ');
  const size_t start = text.find_first_not_of(' ');
  if (start == std::string::npos) return "";
  return text.substr(start, text.find_last_not_of(' ') + 1 - start);
}

Result<TaskItem> item_of(const nlohmann::json& row) {
  if (row.size() != 3) return Error{fmt::format("wanted 3 columns (class, title, text), got {}", row.size())};
  const auto& label = row[0].get_ref<const std::string&>();
  if (label.size() != 1 || label[0] < '1' || label[0] > '4')
    return Error{fmt::format("wanted a class from 1 to 4, got '{}'", label.substr(0, 20))};
  const std::string title = cleaned(row[1]), text = cleaned(row[2]);
  if (title.empty() && text.empty()) return Error{"wanted a title or a text, got neither"};
  TaskItem item;
  item.prompt = fmt::format(fmt::runtime(kPrompt), fmt::arg("title", title), fmt::arg("text", text));
  item.reference = kLabels[static_cast<size_t>(label[0] - '1')];
  return item;
}

size_t label_index(std::string_view label) {
  return static_cast<size_t>(std::find(kLabels.begin(), kLabels.end(), label) - kLabels.begin());
}

Result<ItemScore> score_likelihood(const TaskItem& item, const TaskAnswer& answer) {
  const auto& likelihoods = answer.choice_log_likelihoods;
  if (likelihoods.size() != kLabels.size())
    return Error{fmt::format("ag_news: item '{}': wanted a likelihood for each of {} labels, got {}", item.id,
                             kLabels.size(), likelihoods.size())};
  std::vector<double> per_byte;
  for (size_t i = 0; i < kLabels.size(); ++i)
    per_byte.push_back(likelihoods[i] / static_cast<double>(kLabels[i].size()));
  const auto best = [](const std::vector<double>& values) {
    return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
  };
  const size_t wanted = label_index(item.reference);
  ItemScore score;
  score.figures["accuracy"] = best(likelihoods) == wanted;
  score.figures["accuracy_per_byte"] = best(per_byte) == wanted;
  score.details["label"] = kLabels[best(likelihoods)];
  return score;
}

ItemScore score_generation(const TaskItem& item, const TaskAnswer& answer) {
  const std::optional<std::string> label = ag_news_label(answer.text);
  ItemScore score;
  score.figures["accuracy"] = label == item.reference;
  score.figures["answered"] = label.has_value();
  score.details["label"] = label ? nlohmann::json(*label) : nlohmann::json();
  return score;
}

// The label of the first name in `text`, which is in lower case.
std::optional<std::string> first_label(const std::string& text) {
  static const std::regex kNames(
      R"(\b(?:(world)|(sports?)|(business)|)"
      R"((sci(?:ence)?\b\W{0,3}(?:(?:and|or)\W)?\W{0,3}tech(?:nology)?|science|technology|tech|sci))\b)");
  std::smatch match;
  if (!std::regex_search(text, match, kNames)) return std::nullopt;
  for (size_t i = 0; i < kLabels.size(); ++i)
    if (match[i + 1].matched) return std::string(kLabels[i]);
  return std::nullopt;
}

}  // namespace

std::optional<std::string> ag_news_label(std::string_view answer) {
  // The tail of an endless answer says nothing more, and std::regex recurses by the character.
  std::string text(answer.substr(0, 2000));
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  static const std::regex kMark(R"(\b(?:category|answer|label)\b\W{0,4}(?::|is\b))");
  size_t after_mark = 0;
  for (std::sregex_iterator match(text.begin(), text.end(), kMark), end; match != end; ++match)
    after_mark = static_cast<size_t>(match->position() + match->length());
  const auto marked = first_label(text.substr(after_mark));
  return marked ? marked : first_label(text);
}

Result<TaskItems> AgNewsTask::read(const std::filesystem::path& path, size_t n_most) const {
  const auto make = [&](const nlohmann::json& row, size_t line, std::vector<TaskItem>& items) -> Status {
    EDGELLM_ASSIGN_OR_RETURN(TaskItem item, item_of(row));
    item.id = fmt::format("line {}", line);
    if (mode_ == Mode::kLikelihood)
      item.choices.assign(kLabels.begin(), kLabels.end());
    else
      item.max_tokens = kMostTokens;
    items.push_back(std::move(item));
    return {};
  };
  return read_items(read_csv, path, n_most, make);
}

Result<ItemScore> AgNewsTask::score(const TaskItem& item, const TaskAnswer& answer) const {
  if (mode_ == Mode::kLikelihood) return score_likelihood(item, answer);
  return score_generation(item, answer);
}

nlohmann::json AgNewsTask::settings() const {
  nlohmann::json settings = {{"prompt", kPrompt}, {"labels", kLabels}};
  if (mode_ == Mode::kGeneration) settings["max_tokens"] = kMostTokens;
  return settings;
}

}  // namespace edgellm
