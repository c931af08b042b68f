#include <algorithm>
#include <array>
#include <utility>

#include "core/text/encoder_tokenizer.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using edgellm::EncodedText;
using edgellm::EncoderTokenizerFiles;

// One input holds the files of a folder: a line "@NAME" before each, and "@text" before a text to encode.
struct Folder {
  EncoderTokenizerFiles files;
  std::string text;
};

Folder folder_of(std::string_view input) {
  Folder folder;
  folder.files.sentencepiece_name = "spiece.model";
  const std::array<std::pair<std::string_view, std::string*>, 8> parts = {
      {{"tokenizer.json", &folder.files.tokenizer},
       {"vocab.txt", &folder.files.word_pieces},
       {"vocab.json", &folder.files.byte_pairs},
       {"merges.txt", &folder.files.merges},
       {"spiece.model", &folder.files.sentencepiece},
       {"tokenizer_config.json", &folder.files.tokenizer_config},
       {"config.json", &folder.files.config},
       {"text", &folder.text}}};
  while (input.starts_with('@')) {
    const std::string_view line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(line.size() + 1, input.size()));
    const size_t end = std::min(input.find("\n@"), input.size());
    for (const auto& [name, content] : parts)
      if (line.substr(1) == name) *content = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  return folder;
}

void check(const EncodedText& encoded, const edgellm::EncoderTokenizer& tokenizer) {
  if (encoded.ids.size() != encoded.segments.size()) __builtin_trap();
  for (const int32_t id : encoded.ids)
    if (id < 0 || size_t(id) >= tokenizer.n_vocabulary()) __builtin_trap();
}

}  // namespace

// A tokenizer that is accepted encodes any text into numbers of its vocabulary.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  const Folder folder = folder_of(edgellm::as_text(data, n_bytes));
  const auto tokenizer = edgellm::EncoderTokenizer::from_files(folder.files);
  if (!tokenizer.ok()) return 0;
  for (const std::string_view text :
       {std::string_view(folder.text), std::string_view("The [MASK] été \xff")}) {
    check(tokenizer->encode(text), *tokenizer);
    check(tokenizer->encode(text, {.add_special = false, .parse_special = false}), *tokenizer);
    check(tokenizer->encode_pair(text, "日本 <s> two", {.add_prefix_space = true, .most_tokens = 12}),
          *tokenizer);
    tokenizer->find(text);
  }
  return 0;
}
