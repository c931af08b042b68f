// Files of dialogues, a JSON object each: what people said and what was answered.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/text/chat_template.h"

namespace edgellm {

// Of one record. Plain text has no messages.
struct Dialogue {
  std::vector<ChatMessage> messages;
  std::string text;
  size_t line = 0;  // in a .jsonl file; in a .json file the number of the record; both from 1
};

// By its name: .jsonl, one object a line, or .json, an array of them.
bool is_dialogue_file(const std::filesystem::path& file);

// Records may be {"messages": [{"role", "content"}]}, ShareGPT's {"conversations": [{"from", "value"}]},
// Alpaca's {"instruction", "input", "output"}, dolly's {"instruction", "context", "response"},
// {"question" or "prompt", "answer" or "response" or "completion"}, or {"text"}. Error for what
// read_source_text() refuses and for a record of another shape, with its line.
Result<std::vector<Dialogue>> read_dialogues(const std::filesystem::path& file);

}  // namespace edgellm
