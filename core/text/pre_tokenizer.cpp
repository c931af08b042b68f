#include "core/text/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>
#include <utility>

namespace edgellm {
namespace {

// What Unicode 15.1 (llama.cpp's tables) has and the PCRE2 of a stable distribution may lack. Adding them
// makes the classes the same on every version; where PCRE2 knows them already, they change nothing.
struct Class {
  std::string_view written;  // in the table of patterns
  std::string_view inside;   // what it becomes inside [...]
};
constexpr Class kClasses[] = {
    // PCRE2's own \s has U+180E, which Unicode no longer counts as white space.
    {R"(\s)",
     R"(\x09-\x0d\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})"},
    {R"(\p{L})",
     R"(\p{L}\x{1123f}\x{11240}\x{11f02}\x{11f04}-\x{11f10}\x{11f12}-\x{11f33}\x{1342f}\x{13441}-\x{13446}\x{1b132})"
     R"(\x{1b155}\x{1df25}-\x{1df2a}\x{1e030}-\x{1e06d}\x{1e4d0}-\x{1e4eb}\x{2b739}\x{2ebf0}-\x{2ee5d}\x{31350}-\x{323af})"},
    {R"(\p{N})", R"(\p{N}\x{11f50}-\x{11f59}\x{1d2c0}-\x{1d2d3}\x{1e4f0}-\x{1e4f9})"},
    {R"(\p{P})", R"(\p{P}\x{11b00}-\x{11b09}\x{11f43}-\x{11f4f})"},
    {R"(\p{S})",
     R"(\p{S}\x{2ffc}-\x{2fff}\x{31ef}\x{1f6dc}\x{1f774}-\x{1f776}\x{1f77b}-\x{1f77f}\x{1f7d9}\x{1fa75}-\x{1fa77})"
     R"(\x{1fa87}\x{1fa88}\x{1faad}-\x{1faaf}\x{1fabb}-\x{1fabd}\x{1fabf}\x{1face}\x{1facf}\x{1fada}\x{1fadb}\x{1fae8})"
     R"(\x{1faf7}\x{1faf8})"},
    {R"(\p{M})",
     R"(\p{M}\x{cf3}\x{ece}\x{10efd}-\x{10eff}\x{11241}\x{11f00}\x{11f01}\x{11f03}\x{11f34}-\x{11f3a}\x{11f3e}-\x{11f42})"
     R"(\x{13440}\x{13447}-\x{13455}\x{1e08f}\x{1e4ec}-\x{1e4ef})"},
};

// Replaces the classes above wherever they stand, in brackets of their own outside [...]; \S becomes their
// complement.
std::string expand_classes(std::string_view pattern) {
  std::string expanded;
  bool inside = false;
  for (size_t i = 0; i < pattern.size();) {
    std::string_view rest = pattern.substr(i);
    if (rest[0] == '\\') {
      if (!inside && rest.starts_with(R"(\S)")) {
        expanded += fmt::format("[^{}]", kClasses[0].inside);
        i += 2;
        continue;
      }
      const Class* known = nullptr;
      for (const Class& one : kClasses)
        if (rest.starts_with(one.written)) known = &one;
      if (known) {
        expanded += inside ? std::string(known->inside) : fmt::format("[{}]", known->inside);
        i += known->written.size();
      } else {
        expanded += rest.substr(0, 2);
        i += 2;
      }
      continue;
    }
    if (rest[0] == '[') inside = true;
    if (rest[0] == ']') inside = false;
    expanded += rest[0];
    ++i;
  }
  return expanded;
}

struct CodeFree {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchFree {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct ContextFree {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct StackFree {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
using Code = std::unique_ptr<pcre2_code, CodeFree>;

}  // namespace

struct PreTokenizer::Compiled {
  std::vector<Code> patterns;
};

struct PreTokenizer::Scratch::State {
  std::unique_ptr<pcre2_match_data, MatchFree> match{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_match_context, ContextFree> context{pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, StackFree> stack;
  std::vector<std::string_view> words, cut;
};

PreTokenizer::PreTokenizer(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;
PreTokenizer::Scratch::Scratch() : state_(std::make_unique<State>()) {}
PreTokenizer::Scratch::Scratch(Scratch&&) noexcept = default;
PreTokenizer::Scratch::~Scratch() = default;

Result<PreTokenizer> PreTokenizer::create(const PreTokenizerKind& kind) {
  auto compiled = std::make_unique<Compiled>();
  for (std::string_view pattern : kind.patterns) {
    std::string expanded = expand_classes(pattern);
    int error = 0;
    size_t position = 0;
    Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expanded.data()), expanded.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NO_AUTO_CAPTURE, &error,
                            &position, nullptr));
    if (!code) {
      char message[256] = "";
      pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
      return Error{fmt::format("pre-tokenizer '{}': pattern '{}': {} at byte {}", kind.names.front(),
                               expanded, message, position)};
    }
    // Without a JIT for this CPU the interpreter gives the same matches, only slower.
    pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
    compiled->patterns.push_back(std::move(code));
  }
  return PreTokenizer(std::move(compiled));
}

std::span<const std::string_view> PreTokenizer::split(std::string_view text, Scratch& scratch) const {
  Scratch::State& work = *scratch.state_;
  if (!work.stack) {
    work.stack.reset(pcre2_jit_stack_create(32 << 10, 16 << 20, nullptr));
    pcre2_jit_stack_assign(work.context.get(), nullptr, work.stack.get());
  }
  work.words.clear();
  if (!text.empty()) work.words.push_back(text);
  for (const Code& code : compiled_->patterns) {
    work.cut.clear();
    for (std::string_view piece : work.words) {
      auto subject = reinterpret_cast<PCRE2_SPTR>(piece.data());
      size_t done = 0;
      while (done < piece.size()) {
        // A match that runs out of its stack or limits counts as none: the rest stays one word.
        int found = pcre2_match(code.get(), subject, piece.size(), done, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY,
                                work.match.get(), work.context.get());
        if (found < 0) break;
        const size_t* range = pcre2_get_ovector_pointer(work.match.get());
        if (range[0] > done) work.cut.push_back(piece.substr(done, range[0] - done));
        work.cut.push_back(piece.substr(range[0], range[1] - range[0]));
        done = range[1];
      }
      if (done < piece.size()) work.cut.push_back(piece.substr(done));
    }
    std::swap(work.words, work.cut);
  }
  return work.words;
}

const PreTokenizerKind* find_pre_tokenizer(std::string_view name) {
  if (name.empty()) name = "default";
  for (const PreTokenizerKind& kind : pre_tokenizer_kinds())
    for (std::string_view known : kind.names)
      if (known == name) return &kind;
  return nullptr;
}

namespace {

// Bytes of the well-formed UTF-8 character at the start of `text`; 0 when there is none.
size_t character_bytes(std::string_view text) {
  auto at = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : uint8_t(0); };
  auto continues = [&](size_t i) { return (at(i) & 0xC0) == 0x80; };
  uint8_t lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    bool overlong = lead == 0xE0 && at(1) < 0xA0, surrogate = lead == 0xED && at(1) >= 0xA0;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    bool overlong = lead == 0xF0 && at(1) < 0x90, beyond = lead == 0xF4 && at(1) >= 0x90;
    return continues(1) && continues(2) && continues(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string_view valid_utf8(std::string_view text, std::string& storage) {
  size_t done = 0;
  while (done < text.size()) {
    size_t n = uint8_t(text[done]) < 0x80 ? 1 : character_bytes(text.substr(done));
    if (n == 0) break;
    done += n;
  }
  if (done == text.size()) return text;
  storage.assign(text.substr(0, done));
  while (done < text.size()) {
    size_t n = character_bytes(text.substr(done));
    if (n == 0)
      storage += "\xEF\xBF\xBD";
    else
      storage += text.substr(done, n);
    done += n == 0 ? 1 : n;
  }
  return storage;
}

}  // namespace edgellm
