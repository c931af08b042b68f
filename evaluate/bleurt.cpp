#include "evaluate/bleurt.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace edgellm {
namespace {

constexpr size_t kPairsAtOnce = 32;
constexpr size_t kMostTokens = 512;  // of the official program, whatever the encoder could take

// Where a checkpoint keeps the head: the pooler's matrix and bias, the last layer's.
struct HeadNames {
  const char *pooler_weights, *pooler_bias, *weights, *bias;
  bool is_transposed;  // TensorFlow's kernels are [in, out]
};
constexpr HeadNames kNames[] = {
    {"bleurt.pooler.dense.weight", "bleurt.pooler.dense.bias", "classifier.weight", "classifier.bias", false},
    {"bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias", false},
    {"rembert.pooler.dense.weight", "rembert.pooler.dense.bias", "classifier.weight", "classifier.bias",
     false},
    {"bert.pooler.dense.weight", "bert.pooler.dense.bias", "dense.weight", "dense.bias", false},
    {"bert/pooler/dense/kernel", "bert/pooler/dense/bias", "dense/kernel", "dense/bias", true},
};

Result<std::vector<float>> read_values(const HfFolder& folder, const char* name,
                                       std::vector<uint64_t> shape) {
  const SafetensorsTensor* tensor = folder.find(name);
  if (!tensor)
    return Error{fmt::format("{}: its regression head is not whole: there is no tensor '{}'",
                             folder.path().string(), name)};
  if (tensor->shape != shape || !is_real(tensor->type))
    return Error{fmt::format("{}: tensor '{}' has the shape [{}], wanted [{}]: this is no BLEURT checkpoint",
                             folder.path().string(), name, fmt::join(tensor->shape, ", "),
                             fmt::join(shape, ", "))};
  std::vector<float> values(tensor->n_values());
  decode_values(tensor->type, tensor->data.data(), values.data(), values.size());
  return values;
}

}  // namespace

Result<BleurtHead> BleurtHead::read(const HfFolder& folder, size_t n_embedding) {
  const HeadNames* names = std::find_if(std::begin(kNames), std::end(kNames), [&](const HeadNames& one) {
    return folder.find(one.pooler_weights) && folder.find(one.weights);
  });
  if (names == std::end(kNames))
    return Error{fmt::format(
        "{}: it has no regression head (classifier.weight over a pooler): give a BLEURT checkpoint",
        folder.path().string())};
  BleurtHead head;
  std::vector<uint64_t> row = {1, n_embedding};
  if (names->is_transposed) std::swap(row[0], row[1]);
  EDGELLM_ASSIGN_OR_RETURN(head.pooler_weights_,
                           read_values(folder, names->pooler_weights, {n_embedding, n_embedding}));
  EDGELLM_ASSIGN_OR_RETURN(head.pooler_bias_, read_values(folder, names->pooler_bias, {n_embedding}));
  EDGELLM_ASSIGN_OR_RETURN(head.weights_, read_values(folder, names->weights, row));
  EDGELLM_ASSIGN_OR_RETURN(std::vector<float> bias, read_values(folder, names->bias, {1}));
  head.bias_ = bias[0];
  if (names->is_transposed)
    for (size_t i = 0; i < n_embedding; ++i)
      for (size_t j = 0; j < i; ++j)
        std::swap(head.pooler_weights_[i * n_embedding + j], head.pooler_weights_[j * n_embedding + i]);
  return head;
}

double BleurtHead::score(std::span<const float> classification) const {
  double score = bias_;
  const float* row = pooler_weights_.data();
  for (size_t i = 0; i < weights_.size(); ++i, row += weights_.size()) {
    double sum = pooler_bias_[i];
    for (size_t j = 0; j < weights_.size(); ++j) sum += double(row[j]) * classification[j];
    score += weights_[i] * std::tanh(sum);
  }
  return score;
}

Result<std::vector<double>> bleurt_scores(TextEncoder& encoder, const EncoderTokenizer& tokenizer,
                                          const BleurtHead& head, std::span<const TextPair> pairs,
                                          const Progress& progress) {
  EncodedTextOptions options;
  options.parse_special = false;
  options.most_tokens = std::min({encoder.most_tokens(), tokenizer.most_tokens(), kMostTokens});
  ProgressMeter meter(progress, "BLEURT", double(pairs.size()));
  std::vector<double> scores;
  scores.reserve(pairs.size());
  std::vector<float> hidden;
  while (scores.size() < pairs.size()) {
    auto some = pairs.subspan(scores.size(), std::min(kPairsAtOnce, pairs.size() - scores.size()));
    std::vector<EncodedText> texts;
    for (const TextPair& pair : some)
      texts.push_back(tokenizer.encode_pair(pair.reference, pair.candidate, options));
    std::vector<TextEncoderInput> inputs;
    for (const EncodedText& text : texts) inputs.push_back({text.ids, text.segments});
    EDGELLM_RETURN_IF_ERROR(encoder.encode(inputs, encoder.n_layers(), hidden));
    std::span<const float> rest = hidden;
    for (const EncodedText& text : texts) {
      scores.push_back(head.score(rest.first(encoder.n_embedding())));
      rest = rest.subspan(text.ids.size() * encoder.n_embedding());
    }
    meter.add(double(some.size()));
  }
  meter.finish();
  return scores;
}

}  // namespace edgellm
