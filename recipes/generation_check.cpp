#include "recipes/generation_check.h"

#include <algorithm>
#include <set>

#include "core/text/chat_template.h"
#include "runtime/decode/generate.h"

namespace edgellm {
namespace {

constexpr size_t kAnswerTokens = 96;
constexpr size_t kLoopTokens = 24, kLongestPiece = 8;
constexpr size_t kRunTokens = 4, kFewestTokens = 48;
constexpr const char* kPrompts[] = {
    "What is the capital of France, and what is it known for?",
    "Write a short Python function that adds two numbers.",
    "Tell me a short story about a fisherman and a storm.",
    "Why do leaves change color in autumn?",
};

bool ends_in_a_short_loop(std::span<const Token> tokens) {
  if (tokens.size() < kLoopTokens) return false;
  for (size_t piece = 1; piece <= kLongestPiece; ++piece) {
    bool repeats = true;
    for (size_t i = tokens.size() - kLoopTokens + piece; i < tokens.size() && repeats; ++i)
      repeats = tokens[i] == tokens[i - piece];
    if (repeats) return true;
  }
  return false;
}

}  // namespace

bool repeats_itself(std::span<const Token> tokens) {
  if (ends_in_a_short_loop(tokens)) return true;
  if (tokens.size() < kFewestTokens) return false;
  tokens = tokens.last(std::min(tokens.size(), kAnswerTokens));
  std::set<std::vector<Token>> runs;
  size_t n_runs = tokens.size() - kRunTokens + 1;
  for (size_t i = 0; i < n_runs; ++i) runs.emplace(tokens.begin() + i, tokens.begin() + i + kRunTokens);
  return 2 * runs.size() < n_runs;
}

Result<GenerationCheck> check_generation(std::shared_ptr<Decoder> decoder, const Tokenizer& tokenizer,
                                         KvType kv_type, const Progress& progress) {
  const Metadata& metadata = decoder->file().metadata();
  EDGELLM_ASSIGN_OR_RETURN(Session session, Session::create(decoder, {.n_context = 512, .kv_type = kv_type}));
  GenerationCheck check;
  ProgressMeter meter(progress, "trying the result", double(std::size(kPrompts) * kAnswerTokens));
  for (const char* question : kPrompts) {
    std::string prompt = question;
    if (metadata.contains("tokenizer.chat_template")) {
      auto chat = ChatTemplate::from_metadata(metadata);
      if (chat.ok()) {
        auto rendered = chat->render({{"user", question}}, {});
        if (rendered.ok()) prompt = std::move(*rendered);
      }
    }
    SamplerOptions greedy;
    greedy.temperature = 0;
    Sampler sampler(greedy, decoder->hyperparameters().n_vocabulary);
    session.reset();
    std::vector<Token> tokens = tokenizer.encode(prompt, {.add_special = true, .parse_special = true});
    size_t n_pieces = 0;
    EDGELLM_ASSIGN_OR_RETURN(Generation answer,
                             generate(session, tokenizer, sampler, tokens, {.max_tokens = kAnswerTokens},
                                      [&](std::string_view) { ++n_pieces, meter.add(1); }));
    if (answer.reason == StopReason::interrupted) return Error{"interrupted"};
    meter.add(double(kAnswerTokens) - double(n_pieces));
    ++check.n_answers;
    bool blank = answer.text.find_first_not_of(" \t\r\n") == std::string::npos;
    if (blank)
      ++check.n_empty;
    else if (repeats_itself(answer.tokens))
      ++check.n_looping;
    check.answers.push_back(std::move(answer.text));
  }
  meter.finish();
  return check;
}

}  // namespace edgellm
