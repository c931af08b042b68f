// What fits made: a table of them, and the bits and predicted harm of their tensors for the plots.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "apps/report/measurement.h"

namespace edgellm {

// Without rows when there is no "fit" record.
Table fit_table(std::span<const ResultRecord> records, const ModelLabels& labels);

// One fit, the latest of its output.
struct FitPlan {
  const ResultRecord* record = nullptr;
  std::vector<std::string> roles;  // of the layers' tensors, in the order of the first layer that has them
  uint32_t n_layers = 0;           // of the original
  struct Tensor {
    std::string type;
    double bits = 0;
    std::optional<double> predicted_kl;
  };
  std::map<std::pair<std::string, int64_t>, Tensor> tensors;  // by role and layer; -1 outside the layers
  std::vector<int64_t> dropped_layers;
  struct Rival {
    std::string name;
    double n_bytes = 0, kl = 0;
  };
  std::vector<Rival> rivals;  // measured on the search text
  // Summed over the tensors of a layer; absent where not known.
  std::map<int64_t, double> kl_by_layer() const;
};
// Latest first.
std::vector<FitPlan> fit_plans(std::span<const ResultRecord> records);

// Bits a weight by model and tensor role, whatever made the model; rows with equal bits in every role appear
// once.
Table bits_table(std::span<const ResultRecord> records, const ModelLabels& labels);

}  // namespace edgellm
