#include "recipes/calibration_statistics.h"

#include <algorithm>
#include <cmath>

#include "core/base/interrupt.h"
#include "recipes/mixed_inputs.h"

namespace edgellm {
namespace {

void add_squares(const float* x, size_t n_tokens, size_t n_columns, std::vector<float>& sums) {
  sums.resize(n_columns, 0.0f);
  for (size_t t = 0; t < n_tokens; ++t)
    for (size_t c = 0; c < n_columns; ++c) sums[c] += x[t * n_columns + c] * x[t * n_columns + c];
}

double cosine(const float* a, const float* b, size_t n) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < n; ++i) {
    ab += double(a[i]) * b[i];
    aa += double(a[i]) * a[i];
    bb += double(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb + 1e-30);
}

}  // namespace

Result<CalibrationStatistics> collect_calibration_statistics(RuntimeLanguageModel& model,
                                                             std::span<const std::vector<Token>> windows,
                                                             const Progress& progress) {
  Decoder& decoder = model.decoder();
  const Hyperparameters& h = decoder.hyperparameters();
  CalibrationStatistics result;
  // Sums over one window are carried in float and added in double, so that long texts lose nothing.
  std::map<std::string, std::vector<double>> sums;
  std::map<std::string, std::vector<float>> window_sums;
  std::vector<float> previous;
  std::vector<double> cosines(h.n_layers, 0.0);
  size_t n_cosines = 0;

  DecoderObservers observers;
  auto sums_of = [&](TensorRole role, int32_t layer) -> std::vector<float>* {
    for (const TensorRule& rule : h.architecture->tensors)
      if (rule.role == role)
        return &window_sums[layer < 0 ? std::string(rule.gguf_name)
                                      : tensor_name(rule.gguf_name, uint32_t(layer))];
    return nullptr;
  };
  observers.on_product_input = [&](TensorRole role, int32_t layer, const float* x, size_t n_tokens,
                                   size_t n_columns) {
    if (std::vector<float>* of = sums_of(role, layer)) add_squares(x, n_tokens, n_columns, *of);
  };
  // Takes the place of what on_product_input added for the same window just before.
  observers.on_attention = [&](const ObservedAttention& attention) {
    std::vector<float>* of = sums_of(TensorRole::attention_v, int32_t(attention.layer));
    if (!of) return;
    std::fill(of->begin(), of->end(), 0.0f);
    add_mixed_squares(attention, h, *of);
  };
  observers.on_hidden = [&](uint32_t layer, size_t, const float* hidden, size_t n_tokens) {
    size_t n = n_tokens * h.n_embedding;
    if (layer > 0 && previous.size() == n)
      for (size_t t = 0; t < n_tokens; ++t)
        cosines[layer - 1] += cosine(&previous[t * h.n_embedding], hidden + t * h.n_embedding, h.n_embedding);
    if (layer == h.n_layers) n_cosines += n_tokens;
    previous.assign(hidden, hidden + n);
  };
  decoder.set_observers(observers);

  ProgressMeter meter(progress, "collecting importance", double(windows.size()));
  size_t n_tokens = 0, n_head_rows = 0;
  Status status;
  for (const auto& window : windows) {
    status = check_interrupt();
    // Logits of the second half only: they cost most where the vocabulary is large.
    if (status.ok())
      status =
          model.evaluate(window, window.size() / 2, [](size_t, std::span<const float>) { return Status{}; });
    if (!status.ok()) break;
    for (auto& [name, values] : window_sums) {
      auto& total = sums[name];
      total.resize(values.size(), 0.0);
      for (size_t c = 0; c < values.size(); ++c) total[c] += values[c];
      values.assign(values.size(), 0.0f);
    }
    n_tokens += window.size();
    n_head_rows += window.size() - window.size() / 2;
    meter.add(1);
  }
  decoder.set_observers({});
  if (!status.ok()) return status.error();
  meter.finish();

  for (auto& [name, values] : sums) {
    ImportanceEntry entry;
    entry.sums.assign(values.begin(), values.end());
    bool is_head = name == "output.weight" || name == "token_embd.weight";
    entry.n_tokens = is_head ? n_head_rows : n_tokens;
    result.importance.entries[name] = std::move(entry);
  }
  result.importance.n_chunks = uint32_t(windows.size());
  result.importance.n_tokens_per_chunk = windows.empty() ? 0 : uint32_t(windows[0].size());
  for (double sum : cosines)
    result.block_influence.push_back(1 - sum / double(std::max<size_t>(n_cosines, 1)));
  return result;
}

}  // namespace edgellm
