// The table of pre-tokenizers: the names of tokenizer.ggml.pre with the patterns published in the models' own
// tokenizer.json, in the form llama.cpp applies them (where it simplified one, the simplified one gives its
// tokens).
#include "core/text/pre_tokenizer.h"

namespace edgellm {
namespace {

#define CONTRACTIONS R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]))"
#define HF_CONTRACTIONS R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define WORD R"([^\r\n\p{L}\p{N}]?\p{L}+)"
#define PUNCTUATION R"( ?[^\s\p{L}\p{N}]+[\r\n]*)"
#define SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
// Words by case, as GPT-4o's and Tekken's patterns have them; llama.cpp knows case for ASCII letters only.
#define CASED_BEGIN R"([^\r\n\p{L}\p{N}]?[^\P{L}a-z]*[^\P{L}A-Z]+)"
#define CASED_END R"([^\r\n\p{L}\p{N}]?[^\P{L}a-z]+[^\P{L}A-Z]*)"
#define HF_CASED_BEGIN R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
#define HF_CASED_END R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
#define DEEPSEEK_WORD \
  R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+)"

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kLlama3 = CONTRACTIONS "|" WORD R"(|\p{N}{1,3}|)" PUNCTUATION "|" SPACES;
constexpr std::string_view kHfLlama3 = HF_CONTRACTIONS "|" WORD R"(|\p{N}{1,3}|)" PUNCTUATION "|" SPACES;
constexpr std::string_view kQwen2 = CONTRACTIONS "|" WORD R"(|\p{N}|)" PUNCTUATION "|" SPACES;
constexpr std::string_view kHfQwen2 = HF_CONTRACTIONS "|" WORD R"(|\p{N}|)" PUNCTUATION "|" SPACES;
constexpr std::string_view kCased =
    CASED_BEGIN CONTRACTIONS "?|" CASED_END CONTRACTIONS R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES;
constexpr std::string_view kHfCased = HF_CASED_BEGIN HF_CONTRACTIONS
    "?|" HF_CASED_END HF_CONTRACTIONS R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES;
constexpr std::string_view kBloom = R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{ff0c}\x{3001}\x{964}\x{6d4}\x{60c})]+)";
constexpr std::string_view kCjk = R"([\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)";
// DeepSeek's classes hold white space outside ASCII; llama.cpp's do not match it.
constexpr std::string_view kCjkHangul =
    R"([\x{4e00}-\x{9fa5}\x{800}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e})"
    R"(\x{2060}-\x{2fff}\x{3001}-\x{4e00}\x{ac00}-\x{d7ff}]+)";
constexpr std::string_view kHfCjkHangul = R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)";
constexpr std::string_view kDigits3 = R"(\p{N}{1,3})";
constexpr std::string_view kDeepseek3 = DEEPSEEK_WORD R"([\r\n]*|)" SPACES;

// The cased letters of DeepSeek-LLM's tokenizer.json.
constexpr std::string_view kDeepseekLetters =
    R"(\s?[A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af})"
    R"(\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5})"
    R"(\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba})"
    R"(\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d})"
    R"(\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4})"
    R"(\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec})"
    R"(\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126})"
    R"(\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184})"
    R"(\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b})"
    R"(\x{a722}-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17})"
    R"(\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2})"
    R"(\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}]+)";

}  // namespace

std::span<const PreTokenizerKind> pre_tokenizer_kinds() {
  static const std::vector<PreTokenizerKind> kinds = {
      {.names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
                 "jina-v5-nano"},
       .patterns = {kLlama3},
       .hugging_face = {kHfLlama3},
       .ignore_merges = true,
       .add_bos = true},
      {.names = {"dbrx", "smaug-bpe", "chatglm-bpe"}, .patterns = {kLlama3}, .hugging_face = {kHfLlama3}},
      {.names = {"glm4", "glm5"}, .patterns = {kLlama3}, .hugging_face = {kHfLlama3}, .ignore_merges = true},
      {.names = {"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "stablelm2", "hunyuan", "solar-open",
                 "megrez", "grok-2"},
       .patterns = {kQwen2},
       .hugging_face = {kHfQwen2}},
      {.names = {"qwen35"},
       .patterns = {CONTRACTIONS
                    R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" SPACES},
       .hugging_face = {HF_CONTRACTIONS
                        R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" SPACES}},
      {.names = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b",
                 "mellum2"},
       .patterns = {kDigit, kGpt2}},
      {.names = {"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0",
                 "mellum", "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "mpt", "olmo", "jais",
                 "trillion", "granite-docling", "exaone4"},
       .patterns = {kGpt2}},
      {.names = {"default"}, .patterns = {R"([\p{P}$+<=>^~|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
      {.names = {"falcon"}, .patterns = {R"([\p{P}$+<=>^~|`]+)", kGpt2, "[0-9][0-9][0-9]"}},
      {.names = {"deepseek-llm"},
       .patterns = {R"([\r\n])", kDeepseekLetters,
                    R"(\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3001}\x{3002}]+)",
                    R"(\s+$)", kCjkHangul, R"(\p{N}+)"},
       .hugging_face = {R"([\r\n])", kDeepseekLetters,
                        R"(\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+)",
                        R"(\s+$)", kHfCjkHangul, R"(\p{N}+)"}},
      {.names = {"deepseek-coder"},
       .patterns = {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjkHangul, kDigit},
       .hugging_face = {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kHfCjkHangul, kDigit}},
      {.names = {"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
       .patterns = {kDigits3, kCjk, kDeepseek3}},
      {.names = {"spark2_5"}, .patterns = {kDigits3, kCjk, DEEPSEEK_WORD R"(|[\r\n]|\s+(?!\S)|\s+)", kDigit}},
      {.names = {"tekken"},
       .patterns = {CASED_BEGIN "|" CASED_END R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES},
       .hugging_face = {HF_CASED_BEGIN "|" HF_CASED_END R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES},
       .ignore_merges = true,
       .add_bos = true},
      {.names = {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"},
       .patterns = {kCased},
       .hugging_face = {kHfCased}},
      {.names = {"jais-2"},
       .patterns =
           {CONTRACTIONS
            "|" WORD R"(|\p{N}{1,3}|)" PUNCTUATION
            R"(|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S))"
            R"(|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s)"}},
      {.names = {"youtu"},
       .patterns =
           {R"([\x{ac00}-\x{d7a3}\x{3131}-\x{318e}]+|[\x{ff01}\x{2026}\x{201c}\x{201d}\x{2018}\x{2019}\x{2014})"
            R"(\x{ff1a}\x{ff1b}\x{ff0c}\x{3001}-\x{303f}\x{fe30}-\x{fe4f}]+|[\x{3105}-\x{312f}]+|)"
            R"([\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)",
            R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)" CONTRACTIONS
            R"(?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES},
       .ignore_merges = true},
      {.names = {"poro-chat", "bloom", "gpt3-finnish"}, .patterns = {kBloom}},
      {.names = {"viking"}, .patterns = {kBloom, kDigit}},
      {.names = {"bailingmoe", "bailingmoe2", "llada-moe"},
       .patterns = {R"('(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|)" WORD R"(|\p{N}|)" PUNCTUATION
                    R"(|\s*[\r\n]|\s+(?!\S)|\s+)"},
       .hugging_face = {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|)"
                        R"(\s*[\r\n]|\s+(?!\S)|\s+)"}},
      {.names = {"seed-coder"},
       .patterns = {CONTRACTIONS "|" WORD R"(|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|)" SPACES},
       .hugging_face = {HF_CONTRACTIONS "|" WORD R"(|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|)" SPACES}},
      {.names = {"ufakzeka"}, .patterns = {WORD R"(|\p{N}|)" PUNCTUATION "|" SPACES}},
      {.names = {"laguna"}, .patterns = {R"([^\n]+|\n+)", kQwen2}},
      {.names = {"exaone-moe"},
       .patterns =
           {CONTRACTIONS
            R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|)"
            R"(\s*[\r\n]|\s+(?!\S)|\s+)"},
       .hugging_face =
           {HF_CONTRACTIONS
            R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|)"
            R"(\s*[\r\n]|\s+(?!\S)|\s+)"}},
      {.names = {"minicpm5"},
       .patterns = {kDigits3, CONTRACTIONS "|" WORD R"(|\p{N}+|)" PUNCTUATION "|" SPACES},
       .hugging_face = {kDigits3, HF_CONTRACTIONS "|" WORD R"(|\p{N}+|)" PUNCTUATION "|" SPACES},
       .ignore_merges = true},
      {.names = {"chameleon"},
       .patterns = {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", R"([\t\n]|    |  )", kDigit,
                    R"([\p{P}!-/:-@\[-`{-~])", kGpt2},
       .add_bos = true},
  };
  return kinds;
}

}  // namespace edgellm
