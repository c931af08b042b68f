#include "apps/cli/conversation.h"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>

namespace edgellm {

void add_conversation_options(CLI::App& command, ConversationOptions& o) {
  command.add_option("MODEL", o.model, "GGUF file")->required();
  command.add_option("--system", o.system, "system message put before the conversation");
  command
      .add_option("-n,--max-tokens", o.max_tokens,
                  "most tokens of an answer (default: until the context is full)")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--temperature", o.sampler.temperature, "0 always takes the most likely token")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  command.add_option("--top-k", o.sampler.top_k, "keep the k most likely tokens; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command
      .add_option("--top-p", o.sampler.top_p, "keep the fewest tokens that reach this probability together")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 1.0));
  command.add_option("--min-p", o.sampler.min_p, "drop tokens below this part of the best one's probability")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--repeat-penalty", o.sampler.repetition_penalty, "weakens tokens seen lately; 1: none")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 100.0));
  command.add_option("--repeat-window", o.sampler.repetition_window, "how many tokens count as lately")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command.add_option("--seed", o.sampler.seed, "the same seed gives the same answer")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command.add_option("--threads", o.n_threads, "threads (default: all cores)")->check(CLI::Range(1, 1024));
  command
      .add_option("--context", o.n_context,
                  "tokens of prompt and answer together (default: the model's own, at most 4096)")
      ->check(CLI::Range(1, 1 << 24));
  add_kv_option(command, o.kv);
  command.add_flag("--ignore-eos", o.ignore_end, "go on after the model has ended its answer");
}

Result<Conversation> Conversation::open(const ConversationOptions& options) {
  EDGELLM_RETURN_IF_ERROR(check(options.sampler));
  Conversation c;
  c.options_ = options;
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(options.model));
  c.file_ = std::make_shared<const GgufFile>(std::move(file));
  EDGELLM_ASSIGN_OR_RETURN(KvType kv, kv_type_for(c.file_->metadata(), options.kv));
  c.options_.kv = to_string(kv);
  EDGELLM_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::from_metadata(c.file_->metadata()));
  c.tokenizer_ = std::make_unique<Tokenizer>(std::move(tokenizer));
  EDGELLM_ASSIGN_OR_RETURN(PromptFormat format, PromptFormat::from_file(*c.file_, *c.tokenizer_));
  c.format_ = std::make_unique<PromptFormat>(std::move(format));
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(c.file_->metadata()));
  size_t n_context = chosen_context(h, options.n_context);
  EDGELLM_ASSIGN_OR_RETURN(
      std::shared_ptr<Decoder> decoder,
      Decoder::load(c.file_, {.n_threads = options.n_threads, .n_batch = std::min<size_t>(512, n_context)}));
  EDGELLM_ASSIGN_OR_RETURN(Session session,
                           Session::create(std::move(decoder), {.n_context = n_context, .kv_type = kv}));
  c.session_ = std::make_unique<Session>(std::move(session));
  c.sampler_ = std::make_unique<Sampler>(options.sampler, h.n_vocabulary);
  return c;
}

Result<Generation> Conversation::answer(std::span<const Token> prompt) {
  GenerateOptions options = {.max_tokens = options_.max_tokens, .ignore_end = options_.ignore_end};
  return generate(*session_, *tokenizer_, *sampler_, prompt, options, [](std::string_view piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  });
}

std::string timings_text(const Generation& g) {
  auto rate = [](size_t n, double seconds) { return seconds > 0 ? double(n) / seconds : 0.0; };
  // The first token comes with the prompt.
  size_t n_later = g.tokens.empty() ? 0 : g.tokens.size() - 1;
  return fmt::format(
      "prompt {} tokens in {:.2f} s ({:.1f} tokens/s); answer {} tokens in {:.2f} s ({:.1f} tokens/s); {}",
      g.n_prompt_tokens, g.prompt_seconds, rate(g.n_prompt_tokens, g.prompt_seconds), g.tokens.size(),
      g.generate_seconds, rate(n_later, g.generate_seconds), to_string(g.reason));
}

}  // namespace edgellm
