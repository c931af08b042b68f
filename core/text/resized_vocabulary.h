// A model's tokenizer made to fit another number of tokens.
#pragma once

#include "core/base/metadata.h"
#include "core/base/result.h"

namespace edgellm {

// The tokens up to the last that is used: rows of an embedding beyond them are padding.
Result<size_t> n_used_tokens(const Metadata& tokenizer);

// The tokenizer.* keys of `tokenizer` for n_tokens tokens. A smaller vocabulary is padded with unused tokens
// "[PADn]", as a converter pads it to the rows of an embedding. A larger one is cut, which byte-level BPE
// allows: its merges are in the order in which they were learned, so that the bytes and what the first merges
// make are the vocabulary that a shorter training would have given. Special tokens are all kept and come
// last. Every text still has its tokens, and comes back from them unchanged. Error when the bytes and special
// tokens alone are too many, or when another kind of tokenizer would have to be cut.
Result<Metadata> resize_vocabulary(const Metadata& tokenizer, size_t n_tokens);

}  // namespace edgellm
