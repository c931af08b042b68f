// For tests of the built program: a whole model of some 100 thousand random weights, tokenizer included, and
// a text for it.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "core/text/byte_level.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm::cli {

// Every byte is a token, and one more ends the text.
inline void add_tokenizer(Metadata& m) {
  std::vector<std::string> tokens;
  std::vector<int32_t> types(256, 1);
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(byte_level_character(uint8_t(byte)));
  tokens.emplace_back("<|end|>");
  types.push_back(3);
  m.set("tokenizer.ggml.model", MetadataValue::of_string("gpt2"));
  m.set("tokenizer.ggml.pre", MetadataValue::of_string("gpt-2"));
  m.set("tokenizer.ggml.tokens", MetadataValue::of_strings(std::move(tokens)));
  m.set("tokenizer.ggml.token_type", MetadataValue::of_int32s(types));
  m.set("tokenizer.ggml.merges", MetadataValue::of_strings({}));
  m.set("tokenizer.ggml.eos_token_id", MetadataValue::of_uint32(256));
}

// Rows of 64 and, in the feed-forward part, of 256 values: both kinds of block formats have their place.
inline tiny::Shape model_shape() {
  tiny::Shape shape;
  shape.n_layers = 4;
  shape.n_embedding = 64;
  shape.n_heads = 2;
  shape.n_kv_heads = 1;
  shape.n_feed_forward = {256};
  shape.n_vocabulary = 257;
  shape.type = TensorType::F16;
  return shape;
}

inline Metadata model_metadata(const tiny::Shape& shape = model_shape()) {
  Metadata m = tiny::metadata_of(shape);
  m.set("general.name", MetadataValue::of_string("Tiny"));
  add_tokenizer(m);
  return m;
}

inline void write_model(const std::filesystem::path& path, const Metadata& metadata = model_metadata(),
                        const std::vector<tiny::Tensor>& tensors = tiny::tensors_of(model_shape())) {
  Status written = tiny::write(path, metadata, tensors);
  ASSERT_TRUE(written.ok()) << written.error().message;
}

// One whose layer 1 adds nothing at all, layer 2 nothing by its attention, and layer 3 nothing by half of its
// feed-forward channels.
inline void write_idle_model(const std::filesystem::path& path) {
  tiny::Shape shape = model_shape();
  shape.n_feed_forward = {1024};
  std::vector<tiny::Tensor> tensors = tiny::tensors_of(shape);
  for (tiny::Tensor& t : tensors) {
    for (const char* idle : {"blk.2.attn_output.weight", "blk.1.attn_output.weight", "blk.1.ffn_down.weight"})
      if (t.declaration.name == idle) std::fill(t.data.begin(), t.data.end(), std::byte(0));
    if (t.declaration.name == "blk.3.ffn_down.weight")
      for (size_t i = 0; i < t.data.size(); i += 4) std::fill_n(t.data.data() + i, 2, std::byte(0));
  }
  write_model(path, model_metadata(shape), tensors);
}

inline std::string some_text(size_t n_words) {
  static constexpr const char* kWords[] = {"the",    "river", "model", "small", "runs", "42",
                                           "board",  "and",   "light", "of",    "is",   "tree",
                                           "faster", "than",  "a",     "stone"};
  std::mt19937 random(11);
  std::string text;
  for (size_t i = 0; i < n_words; ++i) {
    text += kWords[random() % std::size(kWords)];
    text += random() % 12 ? " " : ".\n";
  }
  return text;
}

}  // namespace edgellm::cli
