#include "core/text/tokenizer.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "core/text/byte_level.h"
#include "core/text/byte_pair_encoder.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/sentencepiece_encoder.h"
#include "core/text/special_tokens.h"
#include "core/text/vocabulary.h"

namespace edgellm {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581, SentencePiece's space

std::string escape_spaces(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size() + text.size() / 2);
  for (char c : text) {
    if (c == ' ')
      escaped += kSpaceMark;
    else
      escaped += c;
  }
  return escaped;
}

std::string unescape_spaces(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    size_t mark = std::min(text.find(kSpaceMark), text.size());
    plain += text.substr(0, mark);
    if (mark == text.size()) break;
    plain += ' ';
    text.remove_prefix(mark + kSpaceMark.size());
  }
  return plain;
}

int hex_digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                : -1;
}

// "<0xNN>": the byte; -1 for any other text.
int byte_of(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  int high = hex_digit(text[3]), low = hex_digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

}  // namespace

struct Tokenizer::State {
  Vocabulary vocabulary;
  SpecialTokens special;
  bool add_space_prefix = false;
  // One of the two kinds.
  std::optional<SentencePieceEncoder> sentencepiece;
  std::optional<BytePairEncoder> byte_pair;
  std::optional<PreTokenizer> pre_tokenizer;

  explicit State(Vocabulary checked) : vocabulary(std::move(checked)), special(vocabulary) {}
  std::string_view plain_text(int32_t token, std::string& storage) const;
};

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::from_metadata(const Metadata& metadata) {
  EDGELLM_ASSIGN_OR_RETURN(std::string model, metadata.string("tokenizer.ggml.model"));
  if (model != "llama" && model != "gpt2")
    return Error{fmt::format("tokenizer: wanted tokenizer.ggml.model 'llama' or 'gpt2', got '{}'", model)};
  EDGELLM_ASSIGN_OR_RETURN(Vocabulary checked, Vocabulary::from_metadata(metadata));
  auto state = std::make_unique<State>(std::move(checked));
  Vocabulary& vocabulary = state->vocabulary;

  if (model == "llama") {
    state->add_space_prefix = metadata.boolean_or("tokenizer.ggml.add_space_prefix", true);
    vocabulary.add_bos = true;
    state->sentencepiece.emplace(vocabulary);
  } else {
    std::string name = metadata.string_or("tokenizer.ggml.pre", "");
    const PreTokenizerKind* kind = find_pre_tokenizer(name);
    if (!kind) return Error{fmt::format("tokenizer: unknown pre-tokenizer '{}' (tokenizer.ggml.pre)", name)};
    EDGELLM_ASSIGN_OR_RETURN(state->pre_tokenizer, PreTokenizer::create(*kind));
    EDGELLM_ASSIGN_OR_RETURN(state->byte_pair,
                             BytePairEncoder::create(vocabulary, metadata, kind->ignore_merges));
    vocabulary.add_bos = kind->add_bos;
  }
  vocabulary.add_bos =
      metadata.boolean_or("tokenizer.ggml.add_bos_token", vocabulary.add_bos) && vocabulary.bos >= 0;
  vocabulary.add_eos = metadata.boolean_or("tokenizer.ggml.add_eos_token", false) && vocabulary.eos >= 0;
  return Tokenizer(std::move(state));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  const Vocabulary& vocabulary = state_->vocabulary;
  std::vector<int32_t> tokens;
  tokens.reserve(text.size() / 3 + 2);
  if (options.add_special && vocabulary.add_bos) tokens.push_back(vocabulary.bos);
  std::vector<TextPart> parts = state_->special.partition(vocabulary, text, options.parse_special);

  if (state_->sentencepiece) {
    SentencePieceEncoder::Scratch scratch;
    bool after_special = true;  // the start of the text counts as such
    for (const TextPart& part : parts) {
      if (part.token >= 0) {
        tokens.push_back(part.token);
      } else {
        std::string escaped = escape_spaces(part.text);
        if (state_->add_space_prefix && after_special) escaped.insert(0, kSpaceMark);
        state_->sentencepiece->encode(vocabulary, escaped, scratch, tokens);
      }
      after_special = part.token >= 0;
    }
  } else {
    PreTokenizer::Scratch words;
    BytePairEncoder::Scratch scratch;
    std::string storage;
    for (const TextPart& part : parts) {
      if (part.token >= 0) {
        tokens.push_back(part.token);
        continue;
      }
      for (std::string_view word : state_->pre_tokenizer->split(valid_utf8(part.text, storage), words))
        state_->byte_pair->encode(vocabulary, word, scratch, tokens);
    }
  }
  if (options.add_special && vocabulary.add_eos) tokens.push_back(vocabulary.eos);
  return tokens;
}

// The bytes of any token but a hidden one; `storage` holds them where they differ from its text.
std::string_view Tokenizer::State::plain_text(int32_t token, std::string& storage) const {
  std::string_view text = vocabulary.text(token);
  const TokenAttributes& attributes = vocabulary.attributes(token);
  if (attributes.special()) return text;
  if (attributes.byte) {
    int byte = byte_of(text);
    if (byte < 0) return text;
    storage.assign(1, char(byte));
    return storage;
  }
  if (!attributes.normal) return {};
  if (sentencepiece) {
    storage = unescape_spaces(text);
    return storage;
  }
  std::optional<std::string> decoded = byte_level_decode(text);
  if (!decoded) return text;
  storage = std::move(*decoded);
  return storage;
}

std::string Tokenizer::piece(int32_t token, bool special) const {
  if (!state_->vocabulary.in_range(token)) return {};
  const TokenAttributes& attributes = state_->vocabulary.attributes(token);
  if (!special && (attributes.control || attributes.unknown)) return {};
  std::string storage;
  return std::string(state_->plain_text(token, storage));
}

std::string Tokenizer::decode(std::span<const int32_t> tokens, bool special) const {
  const Vocabulary& vocabulary = state_->vocabulary;
  std::string text;
  // Encoding put a space before the first word, so decoding takes it away; a special token before it changes
  // nothing.
  bool drop_space = state_->add_space_prefix;
  for (int32_t token : tokens) {
    std::string one = piece(token, special);
    bool is_special = vocabulary.in_range(token) && vocabulary.attributes(token).special();
    if (drop_space && !is_special && one.starts_with(' ')) one.erase(0, 1);
    drop_space = state_->add_space_prefix && is_special;
    text += one;
  }
  return text;
}

size_t Tokenizer::n_vocabulary() const {
  return state_->vocabulary.n_tokens();
}
int32_t Tokenizer::bos() const {
  return state_->vocabulary.bos;
}
int32_t Tokenizer::eos() const {
  return state_->vocabulary.eos;
}
bool Tokenizer::adds_bos() const {
  return state_->vocabulary.add_bos;
}
bool Tokenizer::ends_generation(int32_t token) const {
  const auto& ends = state_->vocabulary.ends_of_generation;
  return std::binary_search(ends.begin(), ends.end(), token);
}
bool Tokenizer::is_control(int32_t token) const {
  return state_->vocabulary.in_range(token) && state_->vocabulary.attributes(token).control;
}
int32_t Tokenizer::find(std::string_view text) const {
  return state_->vocabulary.find(text);
}

}  // namespace edgellm
