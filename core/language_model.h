// The interface every judge uses: tokens in, logits out. The board's runtime and the host's trainable model
// are judged by one code through it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "core/base/result.h"

namespace edgellm {

using Token = int32_t;

// Takes the logits of one position: [n_vocabulary], valid during the call. Rows come in order of position.
using LogitsSink = std::function<Status(size_t position, std::span<const float> logits)>;

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  virtual size_t n_vocabulary() const = 0;

  // Runs `tokens` from an empty context and gives the logits of positions first_row .. tokens.size() - 1.
  // Error when the tokens do not fit the model's context or are outside the vocabulary, or the sink's own
  // error.
  virtual Status evaluate(std::span<const Token> tokens, size_t first_row, const LogitsSink& sink) = 0;
};

}  // namespace edgellm
