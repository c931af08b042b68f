// For tests: small models of every family with random weights, and a plain reference that computes them token
// by token in double precision, sharing no code with the graph.
#pragma once

#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <unistd.h>
#include <vector>

#include "core/arch/architecture.h"
#include "core/base/float16.h"
#include "core/blocks/tensor_type.h"
#include "core/language_model.h"
#include "core/model_file/gguf.h"

namespace edgellm::tiny {

struct Shape {
  std::string family = "llama";
  uint32_t n_layers = 3, n_embedding = 64, n_heads = 4, n_kv_heads = 2, head_width = 32, n_vocabulary = 96;
  std::vector<uint32_t> n_feed_forward = {96};  // one for all layers, or one per layer
  uint32_t sliding_window = 0;
  bool biases = false, tied = true, rope_factors = false;
  TensorType type = TensorType::F32;  // of the matrices
  std::string rope_scaling = {};      // "linear" or "yarn", by 4
  uint64_t seed = 1;
};

inline Metadata metadata_of(const Shape& s) {
  Metadata m;
  auto key = [&](const char* name) { return s.family + "." + name; };
  m.set("general.architecture", MetadataValue::of_string(s.family));
  m.set(key("block_count"), MetadataValue::of_uint32(s.n_layers));
  m.set(key("context_length"), MetadataValue::of_uint32(256));
  m.set(key("embedding_length"), MetadataValue::of_uint32(s.n_embedding));
  m.set(key("feed_forward_length"), s.n_feed_forward.size() == 1
                                        ? MetadataValue::of_uint32(s.n_feed_forward[0])
                                        : MetadataValue::of_uint32s(s.n_feed_forward));
  m.set(key("attention.head_count"), MetadataValue::of_uint32(s.n_heads));
  m.set(key("attention.head_count_kv"), MetadataValue::of_uint32(s.n_kv_heads));
  m.set(key("attention.key_length"), MetadataValue::of_uint32(s.head_width));
  m.set(key("attention.value_length"), MetadataValue::of_uint32(s.head_width));
  m.set(key("attention.layer_norm_rms_epsilon"), MetadataValue::of_float32(1e-5f));
  m.set(key("rope.dimension_count"), MetadataValue::of_uint32(s.head_width));
  m.set(key("rope.freq_base"), MetadataValue::of_float32(s.family == "gemma3" ? 1e6f : 1e4f));
  m.set(key("vocab_size"), MetadataValue::of_uint32(s.n_vocabulary));
  if (s.sliding_window) m.set(key("attention.sliding_window"), MetadataValue::of_uint32(s.sliding_window));
  if (!s.rope_scaling.empty()) {
    m.set(key("rope.scaling.type"), MetadataValue::of_string(s.rope_scaling));
    m.set(key("rope.scaling.factor"), MetadataValue::of_float32(4.0f));
    m.set(key("rope.scaling.original_context_length"), MetadataValue::of_uint32(64));
  }
  return m;
}

struct Tensor {
  GgufWriter::Declaration declaration;
  std::vector<std::byte> data;
};

inline std::vector<std::byte> encode(const std::vector<float>& values, TensorType type, size_t n_columns) {
  const TensorTypeInfo& t = info(type);
  std::vector<std::byte> bytes(values.size() / t.n_values_per_block * t.n_bytes_per_block);
  size_t n_row_bytes = n_columns / t.n_values_per_block * t.n_bytes_per_block;
  for (size_t row = 0; row * n_columns < values.size(); ++row)
    t.encode(values.data() + row * n_columns, nullptr, bytes.data() + row * n_row_bytes, n_columns);
  return bytes;
}

inline std::vector<Tensor> tensors_of(const Shape& s) {
  std::mt19937 random(uint32_t(s.seed));
  std::normal_distribution<float> normal;
  std::vector<Tensor> tensors;
  auto add = [&](std::string name, TensorType type, std::vector<uint64_t> dimensions, float mean,
                 float deviation) {
    size_t n = 1;
    for (uint64_t d : dimensions) n *= d;
    std::vector<float> values(n);
    for (float& v : values) v = mean + deviation * normal(random);
    std::vector<std::byte> data = encode(values, type, dimensions[0]);
    tensors.push_back({{std::move(name), type, std::move(dimensions)}, std::move(data)});
  };
  bool gemma = s.family == "gemma3";
  uint64_t e = s.n_embedding, q = s.n_heads * s.head_width, kv = s.n_kv_heads * s.head_width;
  auto vector = [&](std::string name, uint64_t n, float mean) {
    add(std::move(name), TensorType::F32, {n}, mean, 0.2f);
  };
  auto matrix = [&](std::string name, uint64_t n_columns, uint64_t n_rows) {
    add(std::move(name), s.type, {n_columns, n_rows}, 0, 1.5f / std::sqrt(float(n_columns)));
  };
  matrix("token_embd.weight", e, s.n_vocabulary);
  vector("output_norm.weight", e, 1);
  if (!s.tied) matrix("output.weight", e, s.n_vocabulary);
  if (s.rope_factors) vector("rope_freqs.weight", s.head_width / 2, 2);
  for (uint32_t i = 0; i < s.n_layers; ++i) {
    uint64_t f = s.n_feed_forward[s.n_feed_forward.size() == 1 ? 0 : i];
    std::string b = "blk." + std::to_string(i) + ".";
    vector(b + "attn_norm.weight", e, 1);
    matrix(b + "attn_q.weight", e, q);
    matrix(b + "attn_k.weight", e, kv);
    matrix(b + "attn_v.weight", e, kv);
    matrix(b + "attn_output.weight", q, e);
    if (s.biases) {
      vector(b + "attn_q.bias", q, 0);
      vector(b + "attn_k.bias", kv, 0);
      vector(b + "attn_v.bias", kv, 0);
    }
    if (gemma) {
      vector(b + "attn_q_norm.weight", s.head_width, 1);
      vector(b + "attn_k_norm.weight", s.head_width, 1);
      vector(b + "post_attention_norm.weight", e, 0.5f);
      vector(b + "post_ffw_norm.weight", e, 0.5f);
    }
    vector(b + "ffn_norm.weight", e, 1);
    matrix(b + "ffn_gate.weight", e, f);
    matrix(b + "ffn_up.weight", e, f);
    matrix(b + "ffn_down.weight", f, e);
  }
  return tensors;
}

// A file name of this process's own, removed with the object.
class TemporaryFile {
 public:
  TemporaryFile() {
    static int n = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("edgellm_tiny_" + std::to_string(::getpid()) + "_" + std::to_string(n++) + ".gguf");
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline Status write(const std::filesystem::path& path, const Metadata& metadata,
                    const std::vector<Tensor>& tensors) {
  std::vector<GgufWriter::Declaration> declarations;
  for (const Tensor& t : tensors) declarations.push_back(t.declaration);
  EDGELLM_ASSIGN_OR_RETURN(GgufWriter writer, GgufWriter::create(path, metadata, declarations));
  for (const Tensor& t : tensors) EDGELLM_RETURN_IF_ERROR(writer.write(t.data));
  return writer.commit();
}

inline std::shared_ptr<const GgufFile> open(const Metadata& metadata, const std::vector<Tensor>& tensors) {
  TemporaryFile file;
  Status written = write(file.path(), metadata, tensors);
  if (!written.ok()) {
    ADD_FAILURE() << written.error().message;
    return nullptr;
  }
  // The mapping outlives the name.
  Result<GgufFile> opened = GgufFile::open(file.path());
  if (!opened.ok()) {
    ADD_FAILURE() << opened.error().message;
    return nullptr;
  }
  return std::make_shared<const GgufFile>(std::move(opened).value());
}

inline std::shared_ptr<const GgufFile> open(const Shape& shape) {
  return open(metadata_of(shape), tensors_of(shape));
}

// The reference. Keys and values are rounded as a cache of halves rounds them, so that the graph can be held
// to a tight tolerance.
class Reference {
 public:
  explicit Reference(const GgufFile& file) : h_(read_hyperparameters(file.metadata()).value()) {
    for (const GgufTensor& t : file.tensors()) {
      weights_[t.name].resize(t.n_values());
      info(t.type).decode(t.data.data(), weights_[t.name].data(), t.n_values());
    }
  }
  const Hyperparameters& hyperparameters() const { return h_; }
  std::set<uint32_t> dropped_attention, dropped_ffn;
  bool q8_0_cache = false;
  // "linear" divides every frequency by this.
  double linear_factor = 1;

  std::vector<std::vector<double>> logits(const std::vector<Token>& tokens) {
    keys_.assign(h_.n_layers, {});
    values_.assign(h_.n_layers, {});
    std::vector<std::vector<double>> all;
    for (size_t p = 0; p < tokens.size(); ++p) all.push_back(token(tokens[p], p));
    return all;
  }

 private:
  using Values = std::vector<double>;

  const std::vector<float>* find(const std::string& name) const {
    auto at = weights_.find(name);
    return at == weights_.end() ? nullptr : &at->second;
  }
  Values product(const std::string& name, const Values& x) const {
    const std::vector<float>& w = weights_.at(name + ".weight");
    const std::vector<float>* bias = find(name + ".bias");
    Values y(w.size() / x.size());
    for (size_t r = 0; r < y.size(); ++r) {
      for (size_t c = 0; c < x.size(); ++c) y[r] += double(w[r * x.size() + c]) * x[c];
      if (bias) y[r] += (*bias)[r];
    }
    return y;
  }
  void norm(const std::string& name, double* x, size_t n) const {
    const std::vector<float>* w = find(name);
    if (!w) return;
    double squares = 0;
    for (size_t i = 0; i < n; ++i) squares += x[i] * x[i];
    double scale = 1 / std::sqrt(squares / double(n) + double(h_.norm_epsilon));
    for (size_t i = 0; i < n; ++i) x[i] *= scale * double((*w)[i]);
  }
  bool sliding(uint32_t layer) const {
    return h_.sliding_window && (layer + 1) % h_.sliding_window_period != 0;
  }
  void rope(double* head, uint32_t layer, size_t position) const {
    size_t n = h_.n_rotated, half = n / 2;
    const std::vector<float>* factors = find("rope_freqs.weight");
    double base = sliding(layer) ? h_.rope_base_local : h_.rope_base;
    for (size_t i = 0; i < half; ++i) {
      double angle = double(position) * std::pow(base, -2.0 * double(i) / double(n));
      if (factors && !sliding(layer)) angle /= double((*factors)[i]);
      if (!sliding(layer)) angle /= linear_factor;
      bool interleaved = h_.architecture->name == "llama" || h_.architecture->name == "deci";
      size_t a = interleaved ? 2 * i : i, b = interleaved ? 2 * i + 1 : i + half;
      double x = head[a], y = head[b];
      head[a] = x * std::cos(angle) - y * std::sin(angle);
      head[b] = x * std::sin(angle) + y * std::cos(angle);
    }
  }
  void round_as_cached(Values& x) const {
    if (!q8_0_cache) {
      for (double& v : x) v = float_from_half(half_from_float(float(v)));
      return;
    }
    for (size_t at = 0; at < x.size(); at += 32) {
      double most = 0;
      for (size_t i = 0; i < 32; ++i) most = std::max(most, std::abs(x[at + i]));
      double exact = most / 127, stored = float_from_half(half_from_float(float(exact)));
      for (size_t i = 0; i < 32; ++i) x[at + i] = exact > 0 ? std::round(x[at + i] / exact) * stored : 0;
    }
  }
  Values attention(uint32_t layer, const std::string& b, const Values& x, size_t position) {
    size_t width = h_.head_width_k, n_heads = h_.n_heads[layer], n_kv = h_.n_kv_heads[layer];
    Values q = product(b + "attn_q", x), k = product(b + "attn_k", x), v = product(b + "attn_v", x);
    for (size_t i = 0; i < n_heads; ++i) norm(b + "attn_q_norm.weight", &q[i * width], width);
    for (size_t i = 0; i < n_kv; ++i) norm(b + "attn_k_norm.weight", &k[i * width], width);
    for (size_t i = 0; i < n_heads; ++i) rope(&q[i * width], layer, position);
    for (size_t i = 0; i < n_kv; ++i) rope(&k[i * width], layer, position);
    round_as_cached(k);
    round_as_cached(v);
    keys_[layer].push_back(k);
    values_[layer].push_back(v);
    Values out(n_heads * width);
    for (size_t i = 0; i < n_heads; ++i) {
      size_t kv = i / (n_heads / n_kv) * width;
      size_t first =
          sliding(layer) && position + 1 > h_.sliding_window ? position + 1 - h_.sliding_window : 0;
      Values weight(position + 1);
      double total = 0;
      for (size_t p = first; p <= position; ++p) {
        double score = 0;
        for (size_t j = 0; j < width; ++j) score += q[i * width + j] * keys_[layer][p][kv + j];
        total += weight[p] = std::exp(score / std::sqrt(double(width)));
      }
      for (size_t p = first; p <= position; ++p)
        for (size_t j = 0; j < width; ++j)
          out[i * width + j] += weight[p] / total * values_[layer][p][kv + j];
    }
    return product(b + "attn_output", out);
  }
  Values ffn(const std::string& b, const Values& x) const {
    Values gate = product(b + "ffn_gate", x), up = product(b + "ffn_up", x);
    bool gemma = h_.architecture->name == "gemma3";
    for (size_t i = 0; i < gate.size(); ++i) {
      double g = gate[i];
      double activated = gemma ? 0.5 * g * (1 + std::tanh(std::sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)))
                               : g / (1 + std::exp(-g));
      gate[i] = activated * up[i];
    }
    return product(b + "ffn_down", gate);
  }
  Values token(Token token, size_t position) {
    const std::vector<float>& table = weights_.at("token_embd.weight");
    size_t n = h_.n_embedding;
    Values x(n);
    double scale = h_.architecture->name == "gemma3" ? std::sqrt(double(n)) : 1;
    for (size_t i = 0; i < n; ++i) x[i] = scale * double(table[size_t(token) * n + i]);
    for (uint32_t layer = 0; layer < h_.n_layers; ++layer) {
      std::string b = "blk." + std::to_string(layer) + ".";
      if (!dropped_attention.contains(layer) && h_.n_heads[layer]) {
        Values normed = x;
        norm(b + "attn_norm.weight", normed.data(), n);
        Values y = attention(layer, b, normed, position);
        norm(b + "post_attention_norm.weight", y.data(), n);
        for (size_t i = 0; i < n; ++i) x[i] += y[i];
      }
      if (!dropped_ffn.contains(layer)) {
        Values normed = x;
        norm(b + "ffn_norm.weight", normed.data(), n);
        Values y = ffn(b, normed);
        norm(b + "post_ffw_norm.weight", y.data(), n);
        for (size_t i = 0; i < n; ++i) x[i] += y[i];
      }
    }
    norm("output_norm.weight", x.data(), n);
    return product(find("output.weight") ? "output" : "token_embd", x);
  }

  Hyperparameters h_;
  std::map<std::string, std::vector<float>> weights_;
  std::vector<std::vector<Values>> keys_, values_;  // [layer][position][kv heads * width]
};

}  // namespace edgellm::tiny
