// Whether a compressed model still talks: short greedy answers, looked at for emptiness and for loops.
#pragma once

#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/text/tokenizer.h"
#include "runtime/decode/session.h"

namespace edgellm {

struct GenerationCheck {
  size_t n_answers = 0;
  size_t n_empty = 0;
  size_t n_looping = 0;              // say the same over and over
  std::vector<std::string> answers;  // for the report
  // Most answers are empty or loop.
  bool collapsed() const { return 2 * (n_empty + n_looping) > n_answers; }
};

// A few built-in questions, through the chat template where there is one, 96 tokens at most each. Error:
// "interrupted", no memory for the cache.
Result<GenerationCheck> check_generation(std::shared_ptr<Decoder> decoder, const Tokenizer& tokenizer,
                                         KvType kv_type, const Progress& progress);

// The last 24 tokens are one piece of 1 to 8 tokens over and over, or of the runs of 4 tokens in the last 96
// (if there are 48 at least) more than half have been said before.
bool repeats_itself(std::span<const Token> tokens);

}  // namespace edgellm
