// A file of text that a command calibrates on, as a user names it: notes.txt, or dialogues.jsonl=2.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct TextSource {
  std::filesystem::path file;
  std::optional<double> weight;  // its share of the windows, relative to the other files'
};

// "FILE", or "FILE=WEIGHT" with a weight above 0; a file whose own name has the "=" is taken as it stands.
Result<TextSource> parse_text_source(const std::string& text);
Result<std::vector<TextSource>> parse_text_sources(const std::vector<std::string>& texts);

std::vector<std::filesystem::path> files_of(std::span<const TextSource> sources);

// The text of a file, without a byte order mark. Error when it cannot be read, is empty, holds zero bytes or
// is no UTF-8.
Result<std::string> read_source_text(const std::filesystem::path& file);

}  // namespace edgellm
