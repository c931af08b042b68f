#include "core/text/chat_template.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_lexer.h"
#include "core/text/jinja_syntax.h"

namespace edgellm {
namespace {

constexpr size_t kMaxTemplateBytes = 1u << 22;

// The format most models know, for a model that carries no template.
constexpr std::string_view kChatMl =
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

using Json = nlohmann::ordered_json;

Result<jinja::Value> value_of(jinja::Environment& environment, const Json& json, size_t depth) {
  if (depth > jinja::Environment::kMaxDepth)
    return Error{"chat template: the variables are nested too deeply"};
  switch (json.type()) {
    case Json::value_t::boolean:
      return jinja::Value::boolean(json.get<bool>());
    case Json::value_t::number_integer:
      return jinja::Value::integer(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() > INT64_MAX) return jinja::Value::real(json.get<double>());
      return jinja::Value::integer(json.get<int64_t>());
    case Json::value_t::number_float:
      return jinja::Value::real(json.get<double>());
    case Json::value_t::string:
      return environment.text(json.get<std::string>());
    case Json::value_t::array: {
      jinja::Items items;
      for (const Json& item : json) {
        EDGELLM_ASSIGN_OR_RETURN(auto value, value_of(environment, item, depth + 1));
        items.push_back(std::move(value));
      }
      return environment.list(std::move(items));
    }
    case Json::value_t::object: {
      jinja::Entries entries;
      for (const auto& [key, item] : json.items()) {
        EDGELLM_ASSIGN_OR_RETURN(auto value, value_of(environment, item, depth + 1));
        entries.emplace_back(jinja::Value::string(key), std::move(value));
      }
      return environment.dict(std::move(entries));
    }
    default:
      return jinja::Value::none();
  }
}

Result<jinja::Value> messages_of(jinja::Environment& environment, const std::vector<ChatMessage>& messages) {
  jinja::Items items;
  for (const ChatMessage& message : messages) {
    EDGELLM_ASSIGN_OR_RETURN(auto content, environment.text(message.content));
    EDGELLM_ASSIGN_OR_RETURN(
        auto item, environment.dict({{jinja::Value::string("role"), jinja::Value::string(message.role)},
                                     {jinja::Value::string("content"), std::move(content)}}));
    items.push_back(std::move(item));
  }
  return environment.list(std::move(items));
}

}  // namespace

struct ChatTemplate::Program {
  std::string source;
  jinja::Body body;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Program> program) : program_(std::move(program)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  if (source.size() > kMaxTemplateBytes) {
    return Error{
        fmt::format("chat template: at most {} bytes wanted, got {}", kMaxTemplateBytes, source.size())};
  }
  auto program = std::make_unique<Program>();
  program->source = jinja::normalize_line_ends(source);
  EDGELLM_ASSIGN_OR_RETURN(program->body, jinja::parse_template(program->source));
  return ChatTemplate(std::move(program));
}

Result<ChatTemplate> ChatTemplate::from_metadata(const Metadata& metadata) {
  constexpr std::string_view kKey = "tokenizer.chat_template";
  if (!metadata.contains(kKey)) return parse(kChatMl);
  EDGELLM_ASSIGN_OR_RETURN(const std::string source, metadata.string(kKey));
  return parse(source);
}

Result<std::string> ChatTemplate::render(const std::vector<ChatMessage>& messages,
                                         const Options& options) const {
  jinja::Environment environment(options.work_limit, options.now);
  std::vector<std::pair<std::string, jinja::Value>> variables;
  EDGELLM_ASSIGN_OR_RETURN(auto conversation, messages_of(environment, messages));
  variables.emplace_back("messages", std::move(conversation));
  variables.emplace_back("add_generation_prompt", jinja::Value::boolean(options.add_generation_prompt));
  variables.emplace_back("bos_token", jinja::Value::string(options.bos_token));
  variables.emplace_back("eos_token", jinja::Value::string(options.eos_token));
  variables.emplace_back("tools", jinja::Value::none());
  variables.emplace_back("documents", jinja::Value::none());
  if (!options.variables_json.empty()) {
    const Json json = Json::parse(options.variables_json, nullptr, false);
    if (!json.is_object()) return Error{"chat template: the variables are no JSON object"};
    for (const auto& [name, item] : json.items()) {
      EDGELLM_ASSIGN_OR_RETURN(auto value, value_of(environment, item, 1));
      variables.emplace_back(name, std::move(value));
    }
  }
  return jinja::Interpreter(program_->source, environment).run(program_->body, std::move(variables));
}

}  // namespace edgellm
