// Table 1: model x size x output length x seconds per token on each device.
#pragma once

#include <span>
#include <vector>

#include "apps/report/measurement.h"
#include "apps/report/reference_set.h"

namespace edgellm {

// Figures of one machine with one set of settings; in order of the number of models, most first.
std::vector<std::vector<SpeedFigure>> speed_groups(std::span<const ResultRecord> records);

Table speed_table(std::span<const SpeedFigure> group, size_t number, const ModelLabels& labels,
                  std::span<const ReferenceSet> references);

// One speed for each model, by hash: on the device (and number of threads) and for the output length that
// most models of the group were measured with.
struct ModelSpeeds {
  std::map<std::string, double> seconds_per_token;
  std::string about;
};
ModelSpeeds model_speeds(std::span<const SpeedFigure> group);

}  // namespace edgellm
