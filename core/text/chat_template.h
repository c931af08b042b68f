// Chat templates: the Jinja program a model carries, rendered to the prompt text.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/metadata.h"
#include "core/base/result.h"

namespace edgellm {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant", "tool"
  std::string content;
};

class ChatTemplate {
 public:
  // Error names what the interpreter does not know, with line and column.
  static Result<ChatTemplate> parse(std::string_view source);
  // tokenizer.chat_template of a model, or ChatML when it has none.
  static Result<ChatTemplate> from_metadata(const Metadata& metadata);

  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  struct Options {
    bool add_generation_prompt = true;
    std::string bos_token, eos_token;
    // Variables beyond the usual ones, as the text of a JSON object: {"enable_thinking": false, "tools":
    // [...]}. They go before the usual ones; "messages" may stand here too, for what ChatMessage cannot hold.
    std::string variables_json;
    int64_t now = 0;  // for strftime_now, seconds since 1970; 0: the clock
    // Bytes the template may make or read, a step of it counting as 64; bounds time and memory of a hostile
    // one.
    uint64_t work_limit = uint64_t{1} << 29;
  };
  // The prompt text; special tokens stand in it as text (encode with parse_special). The template's own
  // raise_exception is returned as an Error.
  Result<std::string> render(const std::vector<ChatMessage>& messages, const Options& options) const;

 private:
  struct Program;
  explicit ChatTemplate(std::unique_ptr<Program> program);
  std::unique_ptr<Program> program_;
};

}  // namespace edgellm
