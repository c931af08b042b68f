// One conversation with a decoder: its KV cache, the tokens it holds, and the logits after the last of them.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "runtime/graph/decoder.h"

namespace edgellm {

struct SessionOptions {
  size_t n_context = 0;  // 0: what the model was trained for, at most 4096
  KvType kv_type = KvType::f16;
};

class Session {
 public:
  static Result<Session> create(std::shared_ptr<Decoder> decoder, const SessionOptions& options);

  Decoder& decoder() const { return *decoder_; }
  size_t n_context() const { return cache_.n_context(); }
  size_t n_free() const { return cache_.n_context() - cache_.n_positions(); }
  uint64_t n_cache_bytes() const { return cache_.n_bytes(); }
  // What the context holds.
  std::span<const Token> tokens() const { return tokens_; }

  // Appends tokens (any number that fits) and gives the logits after the last: [n_vocabulary], valid until
  // the next call on this session's decoder. After an Error the session holds the tokens of the batches that
  // were completed.
  Result<std::span<const float>> feed(std::span<const Token> tokens);
  // Keeps what the context shares with `text` from the start, but not the text's last token (feeding it gives
  // the logits wanted), and forgets the rest. Returns how many tokens are kept; feed the others.
  size_t keep_shared(std::span<const Token> text);
  // Forgets all but the first n_tokens (or all, when a sliding window no longer holds what they need).
  void rewind(size_t n_tokens);
  void reset() { rewind(0); }

 private:
  Session(std::shared_ptr<Decoder> decoder, KvCache cache)
      : decoder_(std::move(decoder)), cache_(std::move(cache)) {
    tokens_.reserve(cache_.n_context());
  }
  std::shared_ptr<Decoder> decoder_;
  KvCache cache_;
  std::vector<Token> tokens_;
};

// The context of a session that was asked for n_context (0: the default above).
size_t chosen_context(const Hyperparameters& hyperparameters, size_t n_context);

}  // namespace edgellm
