#include "evaluate/tasks/gsm8k_task.h"

#include <fmt/format.h>

#include "evaluate/tasks/item_fields.h"
#include "evaluate/tasks/item_reader.h"

namespace edgellm {
namespace {

constexpr size_t kMostTokens = 512;
constexpr std::string_view kPrompt =
    "{question}\n\nSolve it step by step. End with a line that has only the final answer, written as \"#### "
    "number\".";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_digit_at(std::string_view text, size_t at) {
  return at < text.size() && is_digit(text[at]);
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// Whether the number at `at` is negative: "-5", "-$5", "$-5", the minus U+2212; but not "9-5".
bool has_minus_before(std::string_view text, size_t at) {
  if (at > 0 && text[at - 1] == '$') --at;
  const std::string_view before = text.substr(0, at);
  constexpr std::string_view kMinusSign = "\xE2\x88\x92";
  const size_t n_bytes = before.ends_with('-') ? 1 : before.ends_with(kMinusSign) ? kMinusSign.size() : 0;
  if (n_bytes == 0) return false;
  at -= n_bytes;
  if (at > 0 && text[at - 1] == '$') --at;
  return at == 0 || !(is_digit(text[at - 1]) || is_letter(text[at - 1]) || text[at - 1] == ')' ||
                      text[at - 1] == ']' || text[at - 1] == '%' || text[at - 1] == '-');
}

// "007.50" is "7.5".
std::string normalised(bool is_negative, std::string whole, std::string fraction) {
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  fraction.erase(fraction.find_last_not_of('0') + 1);
  if (whole.empty()) whole = "0";
  const bool is_zero = whole == "0" && fraction.empty();
  return (is_negative && !is_zero ? "-" : "") + whole + (fraction.empty() ? "" : "." + fraction);
}

// The number that starts at or after `at`, which is moved behind it.
std::optional<std::string> next_number(std::string_view text, size_t& at) {
  while (at < text.size() && !is_digit(text[at]) && !(text[at] == '.' && is_digit_at(text, at + 1))) ++at;
  if (at >= text.size()) return std::nullopt;
  const bool is_negative = has_minus_before(text, at);
  std::string whole, fraction;
  while (is_digit_at(text, at)) whole += text[at++];
  const auto is_group = [&] {
    return at < text.size() && text[at] == ',' && is_digit_at(text, at + 1) && is_digit_at(text, at + 2) &&
           is_digit_at(text, at + 3) && !is_digit_at(text, at + 4);
  };
  if (whole.size() <= 3) {
    while (is_group()) {
      whole += text.substr(at + 1, 3);
      at += 4;
    }
  }
  if (at < text.size() && text[at] == '.' && is_digit_at(text, at + 1)) {
    ++at;
    while (is_digit_at(text, at)) fraction += text[at++];
  }
  return normalised(is_negative, std::move(whole), std::move(fraction));
}

}  // namespace

std::optional<std::string> final_number(std::string_view answer) {
  for (size_t mark = answer.rfind("####"); mark != answer.npos;) {
    size_t at = mark + 4;
    if (auto number = next_number(answer, at)) return number;
    if (mark == 0) break;
    mark = answer.rfind("####", mark - 1);
  }
  std::optional<std::string> last;
  for (size_t at = 0;;) {
    auto number = next_number(answer, at);
    if (!number) return last;
    last = std::move(number);
  }
}

Result<TaskItems> Gsm8kTask::read(const std::filesystem::path& path, size_t n_most) const {
  const auto make = [](const nlohmann::json& record, size_t line, std::vector<TaskItem>& items) -> Status {
    TaskItem item;
    EDGELLM_ASSIGN_OR_RETURN(const std::string question, required_text(record, {"question"}));
    EDGELLM_ASSIGN_OR_RETURN(const std::string worked, required_text(record, {"answer"}));
    const size_t mark = worked.rfind("####");
    const auto number = mark == worked.npos ? std::nullopt : final_number(worked.substr(mark));
    if (!number) return Error{"wanted an answer that ends with '#### number', got one without"};
    item.id = fmt::format("line {}", line);
    item.prompt = fmt::format(fmt::runtime(kPrompt), fmt::arg("question", question));
    item.reference = *number;
    item.max_tokens = kMostTokens;
    items.push_back(std::move(item));
    return {};
  };
  return read_items(read_json_lines, path, n_most, make);
}

Result<ItemScore> Gsm8kTask::score(const TaskItem& item, const TaskAnswer& answer) const {
  const auto number = final_number(answer.text);
  ItemScore score;
  score.figures["exact_match"] = number == item.reference;
  score.details["number"] = number ? nlohmann::json(*number) : nlohmann::json();
  return score;
}

nlohmann::json Gsm8kTask::settings() const {
  return {{"prompt", kPrompt}, {"max_tokens", kMostTokens}};
}

}  // namespace edgellm
