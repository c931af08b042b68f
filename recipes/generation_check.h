// Whether a compressed model still talks: short greedy answers, looked at for emptiness and for loops.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/text/tokenizer.h"
#include "runtime/decode/session.h"

namespace edgellm {

struct GenerationCheck {
  size_t n_answers = 0;
  size_t n_empty = 0;
  size_t n_looping = 0;              // end in a piece of at most 8 tokens said over and over
  std::vector<std::string> answers;  // for the report
  // Most answers are empty or loop.
  bool collapsed() const { return 2 * (n_empty + n_looping) > n_answers; }
};

Result<GenerationCheck> check_generation(std::shared_ptr<Decoder> decoder, const Tokenizer& tokenizer);

// The tokens end with a piece of 1 to 8 tokens repeated so that it fills at least the last 24.
bool ends_in_a_loop(std::span<const Token> tokens);

}  // namespace edgellm
