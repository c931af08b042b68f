#include "recipes/item_answers.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/base/interrupt.h"
#include "evaluate/log_probabilities.h"
#include "runtime/decode/generate_many.h"
#include "runtime/decode/session.h"

namespace edgellm {
namespace {

// The sum of the log-probabilities of each choice's tokens after the prompt, which is computed once.
class ChoiceLikelihoods {
 public:
  ChoiceLikelihoods(Decoder& decoder, KvCache& cache) : decoder_(decoder), cache_(cache) {}

  // Every choice has one token at least.
  Result<std::vector<double>> of(std::span<const Token> prompt, std::span<const std::vector<Token>> choices) {
    EDGELLM_RETURN_IF_ERROR(compute(prompt));
    std::vector<double> sums;
    for (const std::vector<Token>& choice : choices) {
      double sum = log_probability(after_prompt_, choice[0]);
      if (choice.size() > 1) {
        if (cache_.n_positions() > prompt.size() && !cache_.truncate(prompt.size()))
          EDGELLM_RETURN_IF_ERROR(compute(prompt));
        size_t next = 1;
        auto add = [&](size_t, std::span<const float> logits) {
          sum += log_probability(logits, choice[next++]);
          return Status();
        };
        EDGELLM_RETURN_IF_ERROR(
            decoder_.evaluate(std::span(choice).first(choice.size() - 1), cache_, 0, add));
      }
      sums.push_back(sum);
    }
    return sums;
  }

 private:
  Status compute(std::span<const Token> prompt) {
    cache_.clear();
    return decoder_.evaluate(prompt, cache_, prompt.size() - 1, [&](size_t, std::span<const float> logits) {
      after_prompt_.assign(logits.begin(), logits.end());
      return Status();
    });
  }
  static double log_probability(std::span<const float> logits, Token token) {
    return double(logits[size_t(token)]) - log_normalizer(logits).log_sum_exp;
  }

  Decoder& decoder_;
  KvCache& cache_;
  std::vector<float> after_prompt_;
};

Error too_long(const TaskItem& item, size_t n_prompt, size_t n_context) {
  return Error{
      fmt::format("item \"{}\": its prompt has {} tokens, which leaves no room for an answer in a "
                  "context of {}",
                  item.id, n_prompt, n_context)};
}

nlohmann::json line_of(const TaskItem& item) {
  return {{"id", item.id}, {"prompt", item.prompt}, {"reference", item.reference}};
}

}  // namespace

nlohmann::json settings_json(const AnsweringOptions& o) {
  nlohmann::json sampling = {{"temperature", o.sampler.temperature}};
  if (o.sampler.temperature > 0)
    sampling.update({{"top_k", o.sampler.top_k},
                     {"top_p", o.sampler.top_p},
                     {"min_p", o.sampler.min_p},
                     {"seed", o.sampler.seed}});
  nlohmann::json j = {{"sampling", sampling}, {"kv", to_string(o.kv_type)}};
  if (!o.system.empty()) j["system"] = o.system;
  if (o.max_tokens) j["max_tokens"] = o.max_tokens;
  if (o.n_context) j["context"] = o.n_context;
  return j;
}

TaskAnswer answer_in(const nlohmann::json& line) {
  return {line.value("answer", std::string()), line.value("log_likelihoods", std::vector<double>())};
}

Result<AnsweringModel> AnsweringModel::load(std::shared_ptr<const GgufFile> file,
                                            const AnsweringOptions& options) {
  EDGELLM_RETURN_IF_ERROR(check(options.sampler));
  EDGELLM_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::from_metadata(file->metadata()));
  auto kept = std::make_unique<Tokenizer>(std::move(tokenizer));
  EDGELLM_ASSIGN_OR_RETURN(PromptFormat format, PromptFormat::from_file(*file, *kept));
  if (!options.system.empty() && !format.has_template())
    return Error{"--system needs a chat template, and the model has none"};
  EDGELLM_ASSIGN_OR_RETURN(std::unique_ptr<Decoder> decoder,
                           Decoder::load(file, {.n_threads = options.n_threads,
                                                .n_logit_rows = std::max<size_t>(options.n_at_once, 8),
                                                .batch_invariant = true}));
  return AnsweringModel(std::move(file), options, std::move(kept), std::move(format), std::move(decoder));
}

Result<std::vector<Token>> AnsweringModel::prompt_of(const TaskItem& item) const {
  if (!format_.has_template()) return format_.tokens_of(item.prompt);
  std::vector<ChatMessage> messages;
  if (!options_.system.empty()) messages.push_back({"system", options_.system});
  messages.push_back({"user", item.prompt});
  return format_.tokens_of(messages);
}

Status AnsweringModel::answer(std::span<const TaskItem> items, std::string_view stage, ItemLog& log,
                              const Progress& progress) {
  std::vector<const TaskItem*> to_generate, to_compare;
  for (const TaskItem& item : items)
    if (!log.find(item.id)) (item.choices.empty() ? to_generate : to_compare).push_back(&item);
  EDGELLM_RETURN_IF_ERROR(generate(to_generate, stage, log, progress));
  return compare_choices(to_compare, stage, log, progress);
}

Status AnsweringModel::generate(std::span<const TaskItem* const> items, std::string_view stage, ItemLog& log,
                                const Progress& progress) {
  if (items.empty()) return {};
  std::vector<GenerationRequest> requests;
  size_t n_needed = 0;
  for (const TaskItem* item : items) {
    GenerationRequest request;
    EDGELLM_ASSIGN_OR_RETURN(request.prompt, prompt_of(*item));
    request.max_tokens = options_.max_tokens ? options_.max_tokens : item->max_tokens;
    request.sampler = options_.sampler;
    // Of the item's own, so that it does not matter which items were answered before.
    for (char c : item->id) request.sampler.seed = request.sampler.seed * 31 + uint8_t(c);
    n_needed = std::max(n_needed, request.prompt.size() + request.max_tokens);
    requests.push_back(std::move(request));
  }
  const size_t n_trained = decoder_->hyperparameters().n_context_trained;
  GenerateManyOptions options;
  options.n_at_once = std::min(options_.n_at_once, items.size());
  options.n_context = options_.n_context;
  if (!options.n_context) options.n_context = n_trained ? std::min(n_needed, n_trained) : n_needed;
  options.kv_type = options_.kv_type;
  for (size_t i = 0; i < items.size(); ++i)
    if (requests[i].prompt.size() >= options.n_context)
      return too_long(*items[i], requests[i].prompt.size(), options.n_context);
  ProgressMeter meter(progress, std::string(stage), double(log.n_items() + items.size()),
                      double(log.n_items()));
  size_t next = 0;
  auto next_request = [&]() -> std::optional<GenerationRequest> {
    if (next == requests.size()) return std::nullopt;
    return std::move(requests[next++]);
  };
  auto on_answer = [&](size_t request, Generation generation) {
    const TaskItem& item = *items[request];
    std::string text = std::move(generation.text);
    for (const std::string& stop : item.stop) text.resize(std::min(text.size(), text.find(stop)));
    nlohmann::json line = line_of(item);
    line["answer"] = std::move(text);
    line["tokens"] = generation.tokens.size();
    line["stop"] = to_string(generation.reason);
    meter.add(1, item.id);
    return log.put(std::move(line));
  };
  EDGELLM_RETURN_IF_ERROR(generate_many(*decoder_, *tokenizer_, options, next_request, on_answer));
  meter.finish();
  return {};
}

Status AnsweringModel::compare_choices(std::span<const TaskItem* const> items, std::string_view stage,
                                       ItemLog& log, const Progress& progress) {
  if (items.empty()) return {};
  struct Question {
    std::vector<Token> prompt;
    std::vector<std::vector<Token>> choices;
  };
  std::vector<Question> questions;
  size_t n_needed = 0;
  for (const TaskItem* item : items) {
    Question question;
    EDGELLM_ASSIGN_OR_RETURN(question.prompt, prompt_of(*item));
    for (const std::string& choice : item->choices) {
      // Without a template the answer goes on in the line, after a space.
      question.choices.push_back(tokenizer_->encode(format_.has_template() ? choice : " " + choice,
                                                    {.add_special = false, .parse_special = false}));
      n_needed = std::max(n_needed, question.prompt.size() + question.choices.back().size());
    }
    questions.push_back(std::move(question));
  }
  const Hyperparameters& h = decoder_->hyperparameters();
  size_t n_context = options_.n_context ? options_.n_context : n_needed;
  if (!options_.n_context && h.n_context_trained)
    n_context = std::min<size_t>(n_context, h.n_context_trained);
  for (size_t i = 0; i < items.size(); ++i)
    for (const auto& choice : questions[i].choices)
      if (questions[i].prompt.size() + choice.size() > n_context)
        return too_long(*items[i], questions[i].prompt.size(), n_context);
  EDGELLM_ASSIGN_OR_RETURN(KvCache cache,
                           KvCache::create(h, options_.kv_type, n_context, decoder_->options().n_batch));
  ChoiceLikelihoods likelihoods(*decoder_, cache);
  ProgressMeter meter(progress, std::string(stage), double(log.n_items() + items.size()),
                      double(log.n_items()));
  for (size_t i = 0; i < items.size(); ++i) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    EDGELLM_ASSIGN_OR_RETURN(std::vector<double> values,
                             likelihoods.of(questions[i].prompt, questions[i].choices));
    nlohmann::json line = line_of(*items[i]);
    line["choices"] = items[i]->choices;
    line["log_likelihoods"] = values;
    EDGELLM_RETURN_IF_ERROR(log.put(std::move(line)));
    meter.add(1, items[i]->id);
  }
  meter.finish();
  return {};
}

}  // namespace edgellm
