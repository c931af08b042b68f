#include "recipes/tensor_costs.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "core/base/content_hash.h"
#include "core/base/interrupt.h"
#include "core/base/output_file.h"
#include "core/blocks/codebook_grid.h"
#include "recipes/json_file.h"
#include "recipes/measure_log.h"
#include "recipes/pruned_weights.h"
#include "recipes/tensor_encoding.h"

namespace edgellm {
namespace {

using enum TensorType;
constexpr TensorType kTypes[] = {Q2_0, Q2_K, Q3_K, IQ4_XS, Q4_K, IQ4_NL, Q4_0,
                                 Q4_1, Q5_K, Q5_0, Q5_1,   Q6_K, Q8_0};
// IQ3_S has the bytes of Q3_K and four fifths of its error; IQ2_S has no less error than Q2_K.
constexpr TensorType kTypesWithCodebooks[] = {IQ1_S,   IQ1_M, IQ2_XXS, Q2_0, IQ2_XS, Q2_K,
                                              IQ3_XXS, IQ3_S, IQ4_XS,  Q4_K, IQ4_NL, Q4_0,
                                              Q4_1,    Q5_K,  Q5_0,    Q5_1, Q6_K,   Q8_0};
// About so many values of a tensor are rounded for its errors, unless they are less than kFewestRows.
constexpr size_t kSampledValues = size_t{1} << 19, kFewestRows = 32;

bool has_256_blocks(TensorType type) {
  return info(type).n_values_per_block == 256;
}

}  // namespace

Result<std::vector<TensorCandidates>> list_candidates(const GgufFile& source, Codebooks codebooks) {
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(source.metadata()));
  std::vector<TensorCandidates> all;
  for (const GgufTensor& tensor : source.tensors()) {
    ParsedTensorName parsed = parse_tensor_name(*h.architecture, tensor.name);
    if (!parsed.rule || !is_quantizable(parsed.rule->role) || tensor.dimensions.size() < 2) continue;
    TensorCandidates c;
    c.tensor = &tensor;
    c.role = parsed.rule->role;
    c.layer = parsed.layer;
    const bool fits_256 = tensor.n_columns() % 256 == 0,
               is_masked = has_pruned_weights(source) && is_pruned_by_weight(c.role);
    const bool has_codebooks = codebooks == Codebooks::all && !is_masked;
    for (TensorType type : has_codebooks ? std::span<const TensorType>(kTypesWithCodebooks)
                                         : std::span<const TensorType>(kTypes)) {
      if (!keeps_pruned_weights(source, c.role, type)) continue;
      // Where 256-blocks fit, the older formats of the same size are never better; but few of them hold a
      // zero.
      if (fits_256 && !has_256_blocks(type) && type != Q8_0 && !is_masked) continue;
      if (!row_bytes(type, tensor.n_columns())) continue;
      if (info(type).bits_per_value() >= info(tensor.type).bits_per_value()) continue;
      c.types.push_back(type);
    }
    c.types.push_back(tensor.type);
    auto own = c.types.end() - 1;
    auto probe = std::find_if(c.types.begin(), own, [](TensorType t) { return !find_codebook_grid(t); });
    c.probe = probe == own ? c.types.front() : *probe;
    c.relative_error.assign(c.types.size(), 0.0);
    all.push_back(std::move(c));
  }
  if (all.empty()) return Error{"the model has no tensor that can be quantized"};
  return all;
}

std::string types_key(const std::vector<TensorCandidates>& candidates) {
  std::string all;
  for (const TensorCandidates& c : candidates)
    for (TensorType type : c.types) all += fmt::format("{} {}\n", c.tensor->name, to_string(type));
  return hash_text(all).substr(0, 8);
}

Status measure_errors(const GgufFile& source, const ImportanceMatrix& importance, size_t n_sample_rows,
                      const std::filesystem::path& cache, ThreadPool& threads, const Progress& progress,
                      std::vector<TensorCandidates>& candidates) {
  using ErrorsOfTypes = std::map<std::string, double>;
  auto known = read_json<std::map<std::string, ErrorsOfTypes>>(cache);
  std::map<std::string, ErrorsOfTypes> errors;
  if (known) errors = std::move(*known);
  double n_items = 0, n_known = 0;
  for (const auto& c : candidates)
    for (size_t i = 0; i + 1 < c.types.size(); ++i) {
      ++n_items;
      n_known += double(errors[c.tensor->name].contains(std::string(to_string(c.types[i]))));
    }
  ProgressMeter meter(progress, "measuring rounding errors", n_items, n_known);
  for (auto& c : candidates) {
    std::vector<float> weights = column_weights(source, &importance, *c.tensor);
    const size_t n_rows =
        std::min(n_sample_rows, std::max(kFewestRows, kSampledValues / c.tensor->n_columns()));
    ErrorsOfTypes& of_types = errors[c.tensor->name];
    const size_t n_known_types = of_types.size();
    for (size_t i = 0; i + 1 < c.types.size(); ++i) {
      const std::string name(to_string(c.types[i]));
      if (!of_types.contains(name)) {
        EncodeTensorOptions options;
        options.type = c.types[i];
        options.importance = weights;
        options.measure_error = true;
        options.row_stride = std::max<size_t>(1, c.tensor->n_rows() / n_rows);
        auto error =
            encode_tensor(*c.tensor, options, threads, [](std::span<const std::byte>) { return Status{}; });
        if (!error.ok()) return error.error();
        of_types[name] = error->relative();
        meter.add(1, c.tensor->name);
      }
      c.relative_error[i] = of_types[name];
    }
    source.give_back(*c.tensor);
    if (of_types.size() > n_known_types)
      EDGELLM_RETURN_IF_ERROR(write_text_file(cache, nlohmann::json(errors).dump()));
  }
  meter.finish();
  return {};
}

QuantizationPlan stand_in_plan(const std::vector<TensorCandidates>& candidates) {
  QuantizationPlan plan;
  for (const auto& c : candidates) {
    bool is_wide = c.tensor->type == F32 || c.tensor->type == F16 || c.tensor->type == BF16;
    if (is_wide && row_bytes(Q8_0, c.tensor->n_columns())) plan.types[c.tensor->name] = Q8_0;
  }
  return plan;
}

Status measure_sensitivity(MeasuredModel& model, const TextWindows& text, const ReferenceLogits& reference,
                           const std::filesystem::path& log, const Progress& progress,
                           std::vector<TensorCandidates>& candidates) {
  auto key_of = [&](size_t window, const TensorCandidates& c) {
    return fmt::format("{}:{} {} {}", window, text.windows[window].size(), c.tensor->name,
                       to_string(c.probe));
  };
  MeasureLog measured(log);
  size_t n_layers = model.model().decoder().hyperparameters().n_layers;
  // A probe in layer l costs the layers from l on, and the head.
  auto work_of = [&](const TensorCandidates& c) { return double(n_layers) + 2 - std::max(c.layer, 0); };
  double n_work = 0, n_known = 0;
  for (size_t w = 0; w < text.windows.size(); ++w)
    for (const auto& c : candidates) {
      n_work += work_of(c);
      if (measured.find(key_of(w, c))) n_known += work_of(c);
    }
  ProgressMeter meter(progress, "measuring sensitivity", n_work, n_known);
  bool is_applied = false;
  for (auto& c : candidates) c.probe_kl = 0;
  for (size_t w = 0; w < text.windows.size(); ++w) {
    std::vector<std::vector<float>> hidden;
    double base_kl = 0;
    for (auto& c : candidates) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      std::string key = key_of(w, c);
      double kl = 0;
      if (auto found = measured.find(key)) {
        kl = *found;
      } else {
        // Not where an earlier run has measured everything: the stand-in may have to be encoded.
        if (!std::exchange(is_applied, true)) EDGELLM_RETURN_IF_ERROR(model.apply(stand_in_plan(candidates)));
        if (hidden.empty()) {
          EDGELLM_ASSIGN_OR_RETURN(hidden, model.record_hidden(text.windows[w]));
          // From the last layer on nothing changes: this is the stand-in itself.
          EDGELLM_ASSIGN_OR_RETURN(
              base_kl, model.measure_from(int32_t(n_layers), hidden[n_layers], text, w, reference));
        }
        bool is_head = c.role == TensorRole::output;
        int32_t layer = is_head ? int32_t(n_layers) : c.layer;
        std::span<const float> from = layer < 0 ? std::span<const float>{} : hidden[size_t(layer)];
        EDGELLM_ASSIGN_OR_RETURN(kl, model.measure_one(*c.tensor, c.probe, layer, from, text, w, reference));
        // A tensor that does no harm at all still costs a little, so that spare bytes are not thrown away.
        kl = std::max(kl - base_kl, 1e-7);
        EDGELLM_RETURN_IF_ERROR(measured.add(key, kl));
        meter.add(work_of(c), c.tensor->name);
      }
      c.probe_kl += kl / double(text.windows.size());
    }
  }
  meter.finish();
  return {};
}

std::vector<AllocationItem> allocation_items(const std::vector<TensorCandidates>& candidates) {
  std::vector<AllocationItem> items;
  for (const auto& c : candidates) {
    AllocationItem item;
    size_t probe = size_t(std::find(c.types.begin(), c.types.end(), c.probe) - c.types.begin());
    double per_error = c.probe_kl / std::max(c.relative_error[probe], 1e-12);
    for (size_t i = 0; i < c.types.size(); ++i)
      item.options.push_back({*tensor_bytes({c.tensor->name, c.types[i], c.tensor->dimensions}),
                              per_error * c.relative_error[i]});
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace edgellm
