// How fast several answers are generated at once.
#pragma once

#include "core/base/result.h"
#include "runtime/graph/decoder.h"

namespace edgellm {

inline constexpr size_t kSequencePromptTokens = 32;

// Tokens a second over all of n_sequences, each n_tokens long after a prompt of kSequencePromptTokens that is
// not timed. The decoder's n_logit_rows and n_batch should be n_sequences at least.
Result<double> time_sequences(Decoder& decoder, KvType kv, size_t n_sequences, size_t n_tokens);

}  // namespace edgellm
