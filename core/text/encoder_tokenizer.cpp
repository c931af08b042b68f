#include "core/text/encoder_tokenizer.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/base/output_file.h"
#include "core/text/encoder_tokenizer_parts.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/word_piece_normalizer.h"

namespace edgellm {
namespace {

using Ids = std::vector<int32_t>;

bool begins_with_space(std::string_view text) {
  return !text.empty() && is_white_space(next_code_point(text));
}

}  // namespace

struct EncoderTokenizer::State {
  explicit State(EncoderTokenizerParts read);
  Ids tokenize(std::string_view text, const EncodedTextOptions& options) const;
  void append(std::string_view normalized, bool is_first, Ids& ids) const;

  EncoderTokenizerParts parts;
  AddedTokens in_original, in_normalized;
};

EncoderTokenizer::State::State(EncoderTokenizerParts read) : parts(std::move(read)) {
  std::vector<AddedToken> original, normalized;
  for (const AddedToken& token : parts.added) (token.normalized ? normalized : original).push_back(token);
  for (AddedToken& token : normalized) token.text = parts.normalizer.normalize(token.text);
  in_original = AddedTokens(std::move(original));
  in_normalized = AddedTokens(std::move(normalized));
}

// A stretch without added tokens.
void EncoderTokenizer::State::append(std::string_view normalized, bool is_first, Ids& ids) const {
  if (parts.byte_pair) {
    std::string prefixed;
    if (parts.prefixes_stretches && !normalized.starts_with(' ')) {
      prefixed.append(" ").append(normalized);
      normalized = prefixed;
    }
    Ids more = parts.byte_pair->encode(normalized);
    ids.insert(ids.end(), more.begin(), more.end());
  } else if (parts.sentencepiece) {
    parts.unigram->encode(parts.sentencepiece->normalize(normalized), ids);
  } else {
    for (const std::string& word : parts.words.split(normalized, is_first)) parts.unigram->encode(word, ids);
  }
}

Ids EncoderTokenizer::State::tokenize(std::string_view text, const EncodedTextOptions& options) const {
  std::string valid, prefixed;
  text = valid_utf8(text, valid);
  bool prefixes = parts.byte_pair && (options.add_prefix_space || parts.prefixes_text);
  if (prefixes && !text.empty() && !begins_with_space(text)) {
    prefixed.append(" ").append(text);
    text = prefixed;
  }
  Ids ids;
  bool is_first = true;
  for (const AddedTokens::Part& part : in_original.partition(text, options.parse_special)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      std::string normalized = parts.normalizer.normalize(part.text);
      for (const AddedTokens::Part& inner : in_normalized.partition(normalized, options.parse_special)) {
        if (inner.id >= 0)
          ids.push_back(inner.id);
        else
          append(inner.text, is_first, ids);
        is_first = false;
      }
    }
    is_first = false;
  }
  return ids;
}

EncoderTokenizer::EncoderTokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
EncoderTokenizer::EncoderTokenizer(EncoderTokenizer&&) noexcept = default;
EncoderTokenizer& EncoderTokenizer::operator=(EncoderTokenizer&&) noexcept = default;
EncoderTokenizer::~EncoderTokenizer() = default;

Result<EncoderTokenizer> EncoderTokenizer::from_files(const EncoderTokenizerFiles& files) {
  EDGELLM_ASSIGN_OR_RETURN(EncoderTokenizerParts parts, read_encoder_tokenizer(files));
  return EncoderTokenizer(std::make_unique<State>(std::move(parts)));
}

Result<EncoderTokenizer> EncoderTokenizer::from_folder(const std::filesystem::path& folder) {
  EncoderTokenizerFiles files;
  auto read = [&](const char* name, std::string& text) -> Status {
    std::error_code error;
    if (!std::filesystem::exists(folder / name, error)) return {};
    EDGELLM_ASSIGN_OR_RETURN(text, read_text_file(folder / name));
    return {};
  };
  EDGELLM_RETURN_IF_ERROR(read("tokenizer.json", files.tokenizer));
  EDGELLM_RETURN_IF_ERROR(read("vocab.txt", files.word_pieces));
  EDGELLM_RETURN_IF_ERROR(read("vocab.json", files.byte_pairs));
  EDGELLM_RETURN_IF_ERROR(read("merges.txt", files.merges));
  for (const char* name :
       {"spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model", "tokenizer.model"}) {
    if (!files.sentencepiece.empty()) break;
    EDGELLM_RETURN_IF_ERROR(read(name, files.sentencepiece));
    files.sentencepiece_name = name;
  }
  EDGELLM_RETURN_IF_ERROR(read("tokenizer_config.json", files.tokenizer_config));
  EDGELLM_RETURN_IF_ERROR(read("config.json", files.config));
  auto made = from_files(files);
  if (!made.ok()) return Error{fmt::format("{}: {}", folder.string(), made.error().message)};
  return made;
}

EncodedText EncoderTokenizer::encode(std::string_view text, const EncodedTextOptions& options) const {
  if (state_->parts.word_piece) return state_->parts.word_piece->encode(text, options);
  return state_->parts.layout.fill(state_->tokenize(text, options), options);
}

EncodedText EncoderTokenizer::encode_pair(std::string_view first, std::string_view second,
                                          const EncodedTextOptions& options) const {
  if (state_->parts.word_piece) return state_->parts.word_piece->encode_pair(first, second, options);
  return state_->parts.layout.fill(state_->tokenize(first, options), state_->tokenize(second, options),
                                   options);
}

std::string_view EncoderTokenizer::kind() const {
  return state_->parts.word_piece ? "WordPiece" : state_->parts.byte_pair ? "byte-level BPE" : "Unigram";
}

size_t EncoderTokenizer::n_vocabulary() const {
  return state_->parts.n_vocabulary;
}

size_t EncoderTokenizer::most_tokens() const {
  return state_->parts.most_tokens;
}

int32_t EncoderTokenizer::find(std::string_view text) const {
  const EncoderTokenizerParts& parts = state_->parts;
  if (parts.word_piece) return parts.word_piece->find(text);
  for (const AddedToken& token : parts.added)
    if (token.text == text) return token.id;
  return parts.byte_pair ? parts.byte_pair->find(text) : parts.unigram->find(text);
}

int32_t EncoderTokenizer::classification() const {
  return state_->parts.classification;
}

int32_t EncoderTokenizer::separator() const {
  return state_->parts.separator;
}

}  // namespace edgellm
