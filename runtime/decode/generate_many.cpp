#include "runtime/decode/generate_many.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/base/interrupt.h"
#include "runtime/decode/answer.h"

namespace edgellm {
namespace {

// The place of one answer; its cache serves one after another.
struct Place {
  KvCache cache;
  size_t request = 0, n_prompt_tokens = 0;
  std::vector<Token> tokens = {};  // that the cache holds
  std::unique_ptr<Sampler> sampler = {};
  std::unique_ptr<Answer> answer = {};  // null: the place is free
  std::optional<Token> next = {};       // to be computed; nothing when the answer has ended

  void take(std::span<const float> logits) {
    next = answer->next(logits, tokens, cache.n_context() - cache.n_positions());
  }
};

class ManyGenerations {
 public:
  ManyGenerations(Decoder& decoder, const Tokenizer& tokenizer, const NextRequest& next_request,
                  const OnAnswer& on_answer)
      : decoder_(decoder), tokenizer_(tokenizer), next_request_(next_request), on_answer_(on_answer) {}

  Status run(const GenerateManyOptions& options) {
    const Hyperparameters& h = decoder_.hyperparameters();
    size_t n_places = std::clamp<size_t>(options.n_at_once, 1, decoder_.options().n_batch);
    for (size_t i = 0; i < n_places; ++i) {
      EDGELLM_ASSIGN_OR_RETURN(KvCache cache,
                               KvCache::create(h, options.kv_type, chosen_context(h, options.n_context),
                                               decoder_.options().n_batch));
      places_.push_back({.cache = std::move(cache)});
    }
    for (;;) {
      for (Place& place : places_) EDGELLM_RETURN_IF_ERROR(fill(place));
      steps_.clear();
      stepping_.clear();
      for (Place& place : places_)
        if (place.next) {
          steps_.push_back({*place.next, &place.cache});
          stepping_.push_back(&place);
        }
      if (steps_.empty()) return {};
      EDGELLM_RETURN_IF_ERROR(
          decoder_.evaluate_together(steps_, [&](size_t i, std::span<const float> logits) {
            stepping_[i]->tokens.push_back(steps_[i].token);
            stepping_[i]->take(logits);
            return Status();
          }));
      if (options.on_step) options.on_step(steps_.size());
    }
  }

 private:
  // Ends the place's answer if there is nothing more to compute, and begins others until one goes on.
  Status fill(Place& place) {
    while (!place.next) {
      if (place.answer) {
        Generation ended = place.answer->finish(place.n_prompt_tokens);
        place.answer.reset();
        EDGELLM_RETURN_IF_ERROR(on_answer_(place.request, std::move(ended)));
      }
      std::optional<GenerationRequest> request = next_request_();
      if (!request) return {};
      EDGELLM_RETURN_IF_ERROR(begin(place, std::move(*request)));
    }
    return {};
  }

  Status begin(Place& place, GenerationRequest request) {
    size_t n_context = place.cache.n_context();
    place.request = n_requests_++;
    if (request.prompt.empty()) return Error{fmt::format("generate: prompt {} is empty", place.request)};
    if (request.prompt.size() > n_context)
      return Error{fmt::format("generate: prompt {} of {} tokens does not fit the context of {}",
                               place.request, request.prompt.size(), n_context)};
    place.cache.clear();
    place.tokens = std::move(request.prompt);
    place.n_prompt_tokens = place.tokens.size();
    place.sampler = std::make_unique<Sampler>(request.sampler, decoder_.hyperparameters().n_vocabulary);
    place.answer = std::make_unique<Answer>(tokenizer_, *place.sampler,
                                            GenerateOptions{.max_tokens = request.max_tokens}, PieceSink());
    EDGELLM_ASSIGN_OR_RETURN(auto logits, decoder_.logits_after(place.tokens, place.cache));
    place.take(logits);
    return {};
  }

  Decoder& decoder_;
  const Tokenizer& tokenizer_;
  const NextRequest& next_request_;
  const OnAnswer& on_answer_;
  size_t n_requests_ = 0;
  std::vector<Place> places_;
  std::vector<SequenceStep> steps_;
  std::vector<Place*> stepping_;
};

}  // namespace

Status generate_many(Decoder& decoder, const Tokenizer& tokenizer, const GenerateManyOptions& options,
                     const NextRequest& next_request, const OnAnswer& on_answer) {
  return ManyGenerations(decoder, tokenizer, next_request, on_answer).run(options);
}

}  // namespace edgellm
