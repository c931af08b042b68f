#include "core/text/word_piece.h"

#include <algorithm>
#include <fmt/format.h>
#include <unordered_map>

#include "core/base/output_file.h"
#include "core/text/word_piece_model.h"

namespace edgellm {
namespace {

using Ids = std::vector<int32_t>;
// The views are of the model's tokens.
using Index = std::unordered_map<std::string_view, int32_t>;

size_t n_characters(std::string_view text) {
  return size_t(std::count_if(text.begin(), text.end(), [](char c) { return (uint8_t(c) & 0xC0) != 0x80; }));
}

}  // namespace

struct WordPieceTokenizer::State {
  explicit State(WordPieceModel read);
  Ids tokenize(std::string_view text, bool parse_special) const;
  void append_word(std::string_view word, Ids& ids) const;

  WordPieceModel model;
  Index whole, continued;  // `continued`: without the "##"
  size_t longest = 0;      // bytes
  AddedTokens in_original, in_normalized;
};

WordPieceTokenizer::State::State(WordPieceModel read) : model(std::move(read)) {
  std::vector<bool> is_piece(model.tokens.size(), true);
  for (const AddedToken& token : model.added)
    if (!token.is_piece) is_piece[size_t(token.id)] = false;
  for (size_t id = 0; id < model.tokens.size(); ++id) {
    std::string_view token = model.tokens[id];
    if (token.empty() || !is_piece[id]) continue;
    longest = std::max(longest, token.size());
    // A token written twice has the number of the later one, as in the official programs.
    whole[token] = int32_t(id);
    if (token.starts_with(model.continuation))
      continued[token.substr(model.continuation.size())] = int32_t(id);
  }
  std::vector<AddedToken> original, normalized;
  for (const AddedToken& token : model.added) (token.normalized ? normalized : original).push_back(token);
  for (AddedToken& token : normalized) token.text = normalize(token.text, model.normalizer);
  in_original = AddedTokens(std::move(original));
  in_normalized = AddedTokens(std::move(normalized));
}

void WordPieceTokenizer::State::append_word(std::string_view word, Ids& ids) const {
  if (n_characters(word) > model.most_characters) return ids.push_back(model.unknown);
  size_t n_before = ids.size();
  for (size_t start = 0; start < word.size();) {
    const Index& pieces = start == 0 ? whole : continued;
    size_t end = std::min(word.size(), start + longest);
    auto found = pieces.end();
    for (; end > start; --end) {
      if (end < word.size() && (uint8_t(word[end]) & 0xC0) == 0x80) continue;  // inside a character
      found = pieces.find(word.substr(start, end - start));
      if (found != pieces.end()) break;
    }
    if (found == pieces.end()) {  // then the whole word is unknown
      ids.resize(n_before);
      return ids.push_back(model.unknown);
    }
    ids.push_back(found->second);
    start = end;
  }
}

Ids WordPieceTokenizer::State::tokenize(std::string_view text, bool parse_special) const {
  Ids ids;
  for (const AddedTokens::Part& part : in_original.partition(text, parse_special)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    std::string normalized = normalize(part.text, model.normalizer);
    for (const AddedTokens::Part& inner : in_normalized.partition(normalized, parse_special)) {
      if (inner.id >= 0)
        ids.push_back(inner.id);
      else
        for (std::string_view word : bert_words(inner.text)) append_word(word, ids);
    }
  }
  return ids;
}

Result<WordPieceTokenizer> WordPieceTokenizer::from_files(const WordPieceFiles& files) {
  EDGELLM_ASSIGN_OR_RETURN(WordPieceModel model, read_word_piece_model(files));
  return WordPieceTokenizer(std::make_unique<State>(std::move(model)));
}

Result<WordPieceTokenizer> WordPieceTokenizer::from_folder(const std::filesystem::path& folder) {
  WordPieceFiles files;
  struct Part {
    const char* name;
    std::string* text;
  };
  for (auto [name, text] : {Part{"tokenizer.json", &files.tokenizer}, Part{"vocab.txt", &files.vocabulary},
                            Part{"tokenizer_config.json", &files.tokenizer_config}}) {
    std::error_code error;
    if (!std::filesystem::exists(folder / name, error)) continue;
    EDGELLM_ASSIGN_OR_RETURN(*text, read_text_file(folder / name));
  }
  auto made = from_files(files);
  if (!made.ok()) return Error{fmt::format("{}: {}", folder.string(), made.error().message)};
  return made;
}

WordPieceTokenizer::WordPieceTokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
WordPieceTokenizer::WordPieceTokenizer(WordPieceTokenizer&&) noexcept = default;
WordPieceTokenizer& WordPieceTokenizer::operator=(WordPieceTokenizer&&) noexcept = default;
WordPieceTokenizer::~WordPieceTokenizer() = default;

EncodedText WordPieceTokenizer::encode(std::string_view text, const EncodedTextOptions& options) const {
  return state_->model.layout.fill(state_->tokenize(text, options.parse_special), options);
}

EncodedText WordPieceTokenizer::encode_pair(std::string_view first, std::string_view second,
                                            const EncodedTextOptions& options) const {
  return state_->model.layout.fill(state_->tokenize(first, options.parse_special),
                                   state_->tokenize(second, options.parse_special), options);
}

size_t WordPieceTokenizer::n_vocabulary() const {
  return state_->model.tokens.size();
}

std::string_view WordPieceTokenizer::token(int32_t id) const {
  return id >= 0 && size_t(id) < n_vocabulary() ? state_->model.tokens[size_t(id)] : std::string_view();
}

int32_t WordPieceTokenizer::find(std::string_view text) const {
  if (auto found = state_->whole.find(text); found != state_->whole.end()) return found->second;
  for (const AddedToken& added : state_->model.added)
    if (added.text == text) return added.id;
  return -1;
}

int32_t WordPieceTokenizer::unknown() const {
  return state_->model.unknown;
}
int32_t WordPieceTokenizer::classification() const {
  return state_->model.classification;
}
int32_t WordPieceTokenizer::separator() const {
  return state_->model.separator;
}
int32_t WordPieceTokenizer::padding() const {
  return state_->model.padding;
}
int32_t WordPieceTokenizer::mask() const {
  return state_->model.mask;
}

}  // namespace edgellm
