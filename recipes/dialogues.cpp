#include "recipes/dialogues.h"

#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>

#include "recipes/text_source.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;

constexpr const char* kShapes =
    "wanted one of {\"messages\": [{\"role\", \"content\"}]}, {\"conversations\": [{\"from\", \"value\"}]}, "
    "{\"instruction\", \"output\" or \"response\"}, {\"question\" or \"prompt\", \"answer\", \"response\" or "
    "\"completion\"}, {\"text\"}";

// Names of who speaks that ShareGPT's files have.
std::string role_of(const std::string& from) {
  if (from == "human") return "user";
  if (from == "gpt" || from == "bot" || from == "model") return "assistant";
  return from;
}

std::optional<std::string> string_of(const Json& record, const char* key) {
  auto found = record.find(key);
  if (found == record.end() || !found->is_string()) return {};
  return found->get<std::string>();
}

template <size_t n>
std::optional<std::string> first_of(const Json& record, const std::array<const char*, n>& keys) {
  for (const char* key : keys)
    if (auto text = string_of(record, key)) return text;
  return {};
}

std::optional<std::vector<ChatMessage>> messages_of(const Json& list, const char* role, const char* content) {
  if (!list.is_array() || list.empty()) return {};
  std::vector<ChatMessage> messages;
  for (const Json& message : list) {
    if (!message.is_object()) return {};
    auto who = string_of(message, role), what = string_of(message, content);
    if (!who || !what) return {};
    messages.push_back({role_of(*who), std::move(*what)});
  }
  return messages;
}

std::optional<Dialogue> dialogue_of(const Json& record) {
  if (!record.is_object()) return {};
  for (const auto& [key, role, content] :
       {std::array{"messages", "role", "content"}, std::array{"conversations", "from", "value"}})
    if (auto list = record.find(key); list != record.end()) {
      auto messages = messages_of(*list, role, content);
      if (!messages) return {};
      return Dialogue{std::move(*messages), {}};
    }
  auto question = first_of(record, std::array{"instruction", "question", "prompt"});
  auto answer = first_of(record, std::array{"output", "response", "answer", "completion"});
  if (question && answer) {
    if (auto more = first_of(record, std::array{"input", "context"}); more && !more->empty())
      *question += "\n\n" + *more;
    return Dialogue{{{"user", std::move(*question)}, {"assistant", std::move(*answer)}}, {}};
  }
  if (auto text = string_of(record, "text")) return Dialogue{{}, std::move(*text)};
  return {};
}

Error wrong_record(const std::filesystem::path& file, size_t number, const std::string& what) {
  return Error{fmt::format("{}:{}: {}", file.string(), number, what)};
}

Status add(const std::filesystem::path& file, const Json& record, size_t number,
           std::vector<Dialogue>& dialogues) {
  auto dialogue = dialogue_of(record);
  if (!dialogue) return wrong_record(file, number, fmt::format("a record of another shape; {}", kShapes));
  dialogue->line = number;
  dialogues.push_back(std::move(*dialogue));
  return {};
}

Status read_lines(const std::filesystem::path& file, std::string_view rest,
                  std::vector<Dialogue>& dialogues) {
  for (size_t number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Json record = Json::parse(line, nullptr, false);
    if (record.is_discarded()) return wrong_record(file, number, "this is no JSON");
    EDGELLM_RETURN_IF_ERROR(add(file, record, number, dialogues));
  }
  return {};
}

}  // namespace

bool is_dialogue_file(const std::filesystem::path& file) {
  return file.extension() == ".jsonl" || file.extension() == ".json";
}

Result<std::vector<Dialogue>> read_dialogues(const std::filesystem::path& file) {
  EDGELLM_ASSIGN_OR_RETURN(const std::string text, read_source_text(file));
  std::vector<Dialogue> dialogues;
  if (file.extension() == ".jsonl") {
    EDGELLM_RETURN_IF_ERROR(read_lines(file, text, dialogues));
    return dialogues;
  }
  const Json records = Json::parse(text, nullptr, false);
  if (!records.is_array() || records.empty())
    return Error{fmt::format("{}: wanted a JSON array of dialogues (or JSON lines, in a file named .jsonl)",
                             file.string())};
  for (size_t i = 0; i < records.size(); ++i)
    EDGELLM_RETURN_IF_ERROR(add(file, records[i], i + 1, dialogues));
  return dialogues;
}

}  // namespace edgellm
