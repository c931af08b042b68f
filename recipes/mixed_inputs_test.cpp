#include "recipes/mixed_inputs.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>

#include "recipes/calibration_statistics.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

constexpr size_t kTokens = 24;

std::vector<Token> some_tokens() {
  std::mt19937 random(5);
  std::vector<Token> tokens(kTokens);
  for (Token& t : tokens) t = Token(random() % 96);
  return tokens;
}

// What an observed layer's attention was, copied.
struct Seen {
  std::vector<float> x, q, k, attended;
};

// Of a layer of a tiny model, over one text.
Seen seen_of(RuntimeLanguageModel& model, uint32_t layer) {
  Decoder& decoder = model.decoder();
  const Hyperparameters& h = decoder.hyperparameters();
  Seen seen;
  DecoderObservers observers;
  observers.on_attention = [&](const ObservedAttention& a) {
    if (a.layer != layer) return;
    EXPECT_EQ(a.n_tokens, kTokens);
    seen.x.assign(a.x, a.x + kTokens * h.n_embedding);
    seen.q.assign(a.q, a.q + kTokens * h.n_heads[layer] * h.head_width_k);
    seen.k.assign(a.k, a.k + kTokens * h.n_kv_heads[layer] * h.head_width_k);
  };
  observers.on_product_input = [&](TensorRole role, int32_t of, const float* x, size_t n, size_t n_columns) {
    if (role == TensorRole::attention_output && of == int32_t(layer))
      seen.attended.assign(x, x + n * n_columns);
  };
  decoder.set_observers(observers);
  EXPECT_TRUE(model.evaluate(some_tokens(), 0, [](size_t, std::span<const float>) { return Status{}; }).ok());
  decoder.set_observers({});
  return seen;
}

// sum over j of a[j] x[j] in double precision, of a head of a query.
std::vector<double> mixed(const Seen& seen, const Hyperparameters& h, uint32_t layer, size_t query,
                          size_t head) {
  size_t n_heads = h.n_heads[layer], n_kv = h.n_kv_heads[layer], width = h.head_width_k, d = h.n_embedding;
  size_t window = h.layer_is_sliding(layer) ? h.sliding_window : 0;
  std::vector<double> weights(kTokens), z(d);
  double sum = 0;
  for (size_t j = 0; j <= query; ++j) {
    if (window && query - j >= window) continue;
    double score = 0;
    for (size_t c = 0; c < width; ++c)
      score += double(seen.q[(query * n_heads + head) * width + c]) *
               seen.k[(j * n_kv + head / (n_heads / n_kv)) * width + c];
    sum += weights[j] = std::exp(score * h.attention_scale);
  }
  for (size_t j = 0; j <= query; ++j)
    for (size_t c = 0; c < d; ++c) z[c] += weights[j] / sum * seen.x[j * d + c];
  return z;
}

std::unique_ptr<RuntimeLanguageModel> load(std::shared_ptr<const GgufFile> file) {
  auto model =
      RuntimeLanguageModel::load(std::move(file), {.n_context = kTokens, .n_threads = 1, .n_batch = kTokens});
  EXPECT_TRUE(model.ok());
  return std::move(*model);
}

const tiny::Shape kShapes[] = {{.family = "llama"},
                               {.family = "qwen2", .biases = true},
                               {.family = "gemma3", .n_layers = 7, .n_kv_heads = 1, .sliding_window = 9}};

TEST(MixedInputs, TimesTheValueMatrixAreWhatAttentionGives) {
  for (const tiny::Shape& shape : kShapes) {
    SCOPED_TRACE(shape.family);
    auto file = tiny::open(shape);
    auto model = load(file);
    const Hyperparameters& h = model->decoder().hyperparameters();
    const uint32_t layer = 1;
    Seen seen = seen_of(*model, layer);
    ASSERT_FALSE(seen.x.empty());
    const GgufTensor* v = file->find("blk.1.attn_v.weight");
    const float* matrix = reinterpret_cast<const float*>(v->data.data());
    size_t n_heads = h.n_heads[layer], n_group = n_heads / h.n_kv_heads[layer], width = h.head_width_v;
    const GgufTensor* v_bias = file->find("blk.1.attn_v.bias");
    const float* bias = v_bias ? reinterpret_cast<const float*>(v_bias->data.data()) : nullptr;
    double largest = 0, worst = 0;
    for (size_t query = 0; query < kTokens; ++query)
      for (size_t head = 0; head < n_heads; ++head) {
        std::vector<double> z = mixed(seen, h, layer, query, head);
        for (size_t r = 0; r < width; ++r) {
          double value = bias ? bias[head / n_group * width + r] : 0;
          for (size_t c = 0; c < z.size(); ++c)
            value += double(matrix[(head / n_group * width + r) * z.size() + c]) * z[c];
          double wanted = seen.attended[(query * n_heads + head) * width + r];
          largest = std::max(largest, std::abs(wanted));
          worst = std::max(worst, std::abs(value - wanted));
        }
      }
    // The cache keeps keys and values in half precision.
    EXPECT_LE(worst, 3e-3 * largest);
  }
}

TEST(MixedInputs, SquaresAreOfOneHeadOfEveryOtherQuery) {
  for (const tiny::Shape& shape : kShapes) {
    SCOPED_TRACE(shape.family);
    auto model = load(tiny::open(shape));
    const Hyperparameters& h = model->decoder().hyperparameters();
    Seen seen = seen_of(*model, 1);
    std::vector<double> wanted(h.n_embedding);
    for (size_t query = 0; query < kTokens; query += 2) {
      std::vector<double> z = mixed(seen, h, 1, query, query / 2 % h.n_heads[1]);
      for (size_t c = 0; c < z.size(); ++c) wanted[c] += 2 * z[c] * z[c];
    }
    std::vector<float> sums;
    add_mixed_squares({1, kTokens, seen.x.data(), seen.q.data(), seen.k.data()}, h, sums);
    ASSERT_EQ(sums.size(), wanted.size());
    for (size_t c = 0; c < sums.size(); ++c) EXPECT_NEAR(sums[c], wanted[c], 1e-4 * wanted[c] + 1e-7) << c;
  }
}

TEST(MixedInputs, AreTheImportanceOfValueMatricesAndOfNoOthers) {
  auto file = tiny::open({.family = "llama"});
  auto model = load(file);
  const Hyperparameters& h = model->decoder().hyperparameters();
  Seen seen = seen_of(*model, 1);
  std::vector<float> values, plain(h.n_embedding);
  add_mixed_squares({1, kTokens, seen.x.data(), seen.q.data(), seen.k.data()}, h, values);
  for (size_t i = 0; i < seen.x.size(); ++i) plain[i % h.n_embedding] += seen.x[i] * seen.x[i];

  std::vector<std::vector<Token>> windows = {some_tokens(), some_tokens()};
  auto statistics = collect_calibration_statistics(*model, windows, {});
  ASSERT_TRUE(statistics.ok()) << statistics.error().message;
  auto& entries = statistics->importance.entries;
  for (size_t c = 0; c < h.n_embedding; ++c) {
    EXPECT_NEAR(entries.at("blk.1.attn_v.weight").sums[c], 2 * values[c], 1e-4 * values[c]);
    EXPECT_NEAR(entries.at("blk.1.attn_k.weight").sums[c], 2 * plain[c], 1e-4 * plain[c]);
  }
}

}  // namespace
}  // namespace edgellm
