// Table 2: method x model x accuracy x size.
#pragma once

#include <span>
#include <vector>

#include "apps/report/measurement.h"
#include "apps/report/reference_set.h"

namespace edgellm {

// What is compared in one table: one figure a model and metric.
struct AccuracyGroup {
  // By metric key and model hash, the latest where a measurement was repeated.
  std::map<std::string, std::map<std::string, Measurement>> figures;
  size_t n_repeated = 0;
};

// Every metric's figures on one data, with one set of settings, that most models have come into the first
// group, those that are left into the second, and so on: no column of a group mixes what must not be
// compared.
std::vector<AccuracyGroup> accuracy_groups(std::span<const ResultRecord> records);

// The table of a group, and, where other ROUGE figures than ROUGE-1's F1 are known, one of them.
std::vector<Table> accuracy_tables(const AccuracyGroup& group, size_t number, const ModelLabels& labels,
                                   std::span<const ReferenceSet> references);

}  // namespace edgellm
