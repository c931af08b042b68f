// The decoder graph: rms norm, rotary attention over a KV cache, gated feed-forward, built from arch data for
// the llama, qwen2 and gemma3 families. Weights stay in the mapped file; all intermediate values live in one
// arena sized at load.
//
// For measuring what a change costs, weights can be swapped, layers dropped, inputs observed, and a run
// started from the hidden states of any layer, without writing a file.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/arch/architecture.h"
#include "core/language_model.h"
#include "core/model_file/gguf.h"
#include "runtime/backends/backend.h"
#include "runtime/graph/decoder_weights.h"
#include "runtime/graph/graph_buffers.h"
#include "runtime/graph/kv_cache.h"
#include "runtime/graph/rope_table.h"

namespace edgellm {

struct DecoderOptions {
  size_t n_threads = 0;     // 0: one per usable core
  size_t n_batch = 512;     // tokens computed together
  size_t n_logit_rows = 1;  // positions whose logits are computed together
  // A token's logits are the same, bit for bit, however many tokens or sequences are computed with it. Slower
  // for single tokens: they take the way of many.
  bool batch_invariant = false;
  // For models that are not to fill the memory: the pages of a layer's weights, and the head's, are given
  // back once they were computed with, and read again for the next batch. All weights must lie in mapped
  // files, those that replace others too.
  bool gives_back_weights = false;
};

// One of several sequences that go on together: its next token, and the cache of what came before.
struct SequenceStep {
  Token token;
  KvCache* cache;
};
// Takes the logits of one sequence, by its place in the call.
using SequenceSink = std::function<Status(size_t sequence, std::span<const float> logits)>;

// One layer's attention over a whole text.
struct ObservedAttention {
  uint32_t layer;
  size_t n_tokens;
  const float* x;  // [n_tokens, n_embedding], the input of its products
  const float* q;  // [n_tokens, n_heads * head_width_k], normed and turned, as they are multiplied
  const float* k;  // [n_tokens, n_kv_heads * head_width_k]
};

// Called while a batch is computed; pointers are valid during the call. Empty functions are not called.
struct DecoderObservers {
  // x: [n_tokens, n_columns], the input of the matrix product of `role` in `layer` (-1: the output head,
  // whose role is token_embedding where that matrix is tied). Products that share an input are told one after
  // another.
  std::function<void(TensorRole role, int32_t layer, const float* x, size_t n_tokens, size_t n_columns)>
      on_product_input;
  // hidden: [n_tokens, n_embedding] before `layer`, and with layer == n_layers after the last, before the
  // final norm.
  std::function<void(uint32_t layer, size_t first_position, const float* hidden, size_t n_tokens)> on_hidden;
  // Of a text that is computed as one batch from an empty cache; not called for others.
  std::function<void(const ObservedAttention&)> on_attention = {};
};

class Decoder {
 public:
  // Error for an unknown architecture or a tensor that is missing or of a wrong shape (named).
  static Result<std::unique_ptr<Decoder>> load(std::shared_ptr<const GgufFile> file,
                                               const DecoderOptions& options);

  const Hyperparameters& hyperparameters() const { return hyperparameters_; }
  const GgufFile& file() const { return *file_; }
  const Backend& backend() const { return *backend_; }
  const DecoderOptions& options() const { return options_; }
  // Buffers of graph and backend; neither weights nor KV cache.
  uint64_t n_arena_bytes() const { return buffers_.memory.n_bytes() + backend_->n_reserved_bytes(); }

  // Runs `tokens` after what `cache` holds and gives the logits of tokens first_row ... to the sink, which
  // may be empty when first_row is tokens.size(). Longer inputs than a batch are cut. Error when the context
  // is full, for a token outside the vocabulary, the sink's own, or "interrupted"; the cache then holds the
  // batches that were completed.
  Status evaluate(std::span<const Token> tokens, KvCache& cache, size_t first_row, const LogitsSink& sink);
  // The same from hidden states [n_tokens, n_embedding] that enter `layer`; earlier layers are neither run
  // nor cached.
  Status evaluate_from(uint32_t layer, std::span<const float> hidden, KvCache& cache, size_t first_row,
                       const LogitsSink& sink);
  // The same for one token, without a sink: its logits [n_vocabulary], valid until the next evaluation.
  Result<std::span<const float>> logits_after(std::span<const Token> tokens, KvCache& cache);
  // One more token of each of several sequences, over one pass of the weights; at most n_batch of them, each
  // with a cache of its own. After an Error no cache has changed, but for the sink's own error: then all have
  // advanced.
  Status evaluate_together(std::span<const SequenceStep> steps, const SequenceSink& sink);

  // Computes with `data` (which must outlive its use) instead of the file's tensor; shape as in the file, any
  // type. The token embedding is the output head as well where the two are tied.
  Status replace_weight(std::string_view tensor_name, TensorType type, std::span<const std::byte> data);
  Status restore_weight(std::string_view tensor_name);
  void restore_weights();

  // A dropped layer, or half of one, passes the residual through. Clear the cache after a change.
  void set_layer_dropped(uint32_t layer, bool dropped);
  void set_attention_dropped(uint32_t layer, bool dropped) { attention_dropped_[layer] = dropped; }
  void set_ffn_dropped(uint32_t layer, bool dropped) { ffn_dropped_[layer] = dropped; }

  void set_observers(DecoderObservers observers) { observers_ = std::move(observers); }

 private:
  struct Input {
    std::span<const Token> tokens = {};  // or, when empty,
    const float* hidden = nullptr;
    size_t n_tokens = 0;
    uint32_t first_layer = 0;
  };
  // Tokens of a batch that follow one another in one cache.
  struct Segment {
    KvCache* cache;
    size_t first_token, n_tokens;
  };
  Decoder(std::shared_ptr<const GgufFile> file, Hyperparameters hyperparameters, DecoderWeights weights,
          const DecoderOptions& options);
  void reserve();
  Result<Matrix*> matrix_named(std::string_view tensor_name);
  Status run(const Input& input, KvCache& cache, size_t first_row, const LogitsSink& sink);
  // Of the segments in segments_; first_row > 0 only where there is one.
  void run_layers(const Input& input, size_t first_row);
  void give_back(std::initializer_list<const Matrix*> used) const;
  void run_attention(uint32_t layer, size_t n_tokens, size_t first_row);
  void attend(uint32_t layer, const Segment& segment, size_t first_row);
  void run_ffn(uint32_t layer, float* residual, size_t n_tokens);
  void add_branch(const Vector& post_norm, float* residual, size_t n_tokens);
  void run_head(const float* hidden, size_t n_rows);
  // Rows first_row ... of the batch, each told to the sink by its number in the batch.
  Status give_logits(size_t first_row, size_t n_tokens, const SequenceSink& sink);
  Status check_token(Token token, size_t position) const;
  void observe(TensorRole role, int32_t layer, const float* x, size_t n_tokens, const Matrix& weights) const;

  std::shared_ptr<const GgufFile> file_;
  Hyperparameters hyperparameters_;
  DecoderOptions options_;
  std::unique_ptr<Backend> backend_;
  DecoderWeights weights_;
  GraphBuffers buffers_;
  RopeTable rope_, local_rope_;
  DecoderObservers observers_;
  std::vector<bool> attention_dropped_, ffn_dropped_;
  std::vector<Segment> segments_;  // of the batch that is computed
  std::vector<Token> step_tokens_;
};

}  // namespace edgellm
