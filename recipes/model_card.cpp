#include "recipes/model_card.h"

#include <fmt/format.h>
#include <sstream>

#include "core/base/output_file.h"

namespace edgellm {
namespace {

constexpr uint64_t kMostCardBytes = 4 << 20;

// Card key, metadata key, whether it is a list.
struct CardKey {
  std::string_view card, gguf;
  bool list;
};
constexpr CardKey kKeys[] = {{"license", "general.license", false},
                             {"language", "general.languages", true},
                             {"tags", "general.tags", true}};

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r'\"";
  size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1));
}

}  // namespace

void read_model_card(const std::filesystem::path& folder, Metadata& metadata) {
  auto text = read_text_file(folder / "README.md", kMostCardBytes);
  if (!text.ok()) return;
  std::istringstream lines(*text);
  std::string line;
  if (!std::getline(lines, line) || trimmed(line) != "---") return;
  const CardKey* key = nullptr;
  std::vector<std::string> items;
  auto store = [&] {
    if (key && !items.empty())
      metadata.set(std::string(key->gguf),
                   key->list ? MetadataValue::of_strings(items) : MetadataValue::of_string(items[0]));
    items.clear();
    key = nullptr;
  };
  while (std::getline(lines, line) && trimmed(line) != "---") {
    size_t colon = line.find(':');
    size_t dash = line.find_first_not_of(" \t");
    if (dash != std::string::npos && line[dash] == '-') {
      if (key) items.push_back(trimmed(std::string_view(line).substr(dash + 1)));
    } else if (colon != std::string::npos && line[0] != ' ') {
      store();
      for (const CardKey& known : kKeys)
        if (line.substr(0, colon) == known.card) key = &known;
      if (std::string value = trimmed(std::string_view(line).substr(colon + 1)); key && !value.empty())
        items.push_back(std::move(value));
    }
  }
  store();
}

Status write_model_card(const Metadata& metadata, const std::filesystem::path& folder) {
  std::string text = "---\n";
  for (const CardKey& key : kKeys) {
    if (!key.list) {
      if (std::string value = metadata.string_or(key.gguf, ""); !value.empty())
        text += fmt::format("{}: {}\n", key.card, value);
    } else if (auto values = metadata.strings(key.gguf); values.ok() && !(*values)->empty()) {
      text += fmt::format("{}:\n", key.card);
      for (const std::string& value : **values) text += fmt::format("- {}\n", value);
    }
  }
  text += fmt::format("---\n# {}\n\nConverted from a GGUF file by edgellm.\n",
                      metadata.string_or("general.name", "Model"));
  return write_text_file(folder / "README.md", text);
}

}  // namespace edgellm
