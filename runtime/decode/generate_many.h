// Many answers at once: the weights are read once for a token of each, which is what bounds a single answer.
// A new prompt takes the place of an answer that has ended.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/decode/generate.h"

namespace edgellm {

struct GenerationRequest {
  std::vector<Token> prompt;  // one token at least
  SamplerOptions sampler;
  size_t max_tokens = 0;  // 0: until the context is full
};

struct GenerateManyOptions {
  size_t n_at_once = 16;
  size_t n_context = 0;  // of each answer, prompt included; 0: the default of a session
  KvType kv_type = KvType::f16;
  // After every step, for progress: how many answers got a token.
  std::function<void(size_t n_tokens)> on_step = {};
};

// The next request, numbered from 0 in the order of the calls; nothing when there is none for now. Asked
// after every step as long as a place is free.
using NextRequest = std::function<std::optional<GenerationRequest>()>;
// Takes an answer as soon as it has ended. The order depends on the answers' lengths.
using OnAnswer = std::function<Status(size_t request, Generation answer)>;

// Until no request is left. With a decoder loaded as batch_invariant each answer is the same, token for
// token, whatever is generated beside it. Error when a prompt is empty or does not fit the context,
// on_answer's own, or "interrupted".
Status generate_many(Decoder& decoder, const Tokenizer& tokenizer, const GenerateManyOptions& options,
                     const NextRequest& next_request, const OnAnswer& on_answer);

}  // namespace edgellm
