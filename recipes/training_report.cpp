#include "recipes/training_report.h"

namespace edgellm {

nlohmann::json to_json(const GridTraining& t) {
  nlohmann::json epochs = nlohmann::json::array();
  for (size_t i = 0; i < t.epoch_held.size(); ++i)
    epochs.push_back({{"trained_kl", t.epoch_trained[i]}, {"held_kl", t.epoch_held[i]}});
  nlohmann::json stopped, stopped_layer;
  if (!t.stopped.empty()) stopped = t.stopped;
  if (t.stopped_layer) stopped_layer = *t.stopped_layer;
  return {{"held_kl_before", t.held_before},
          {"held_kl", t.held_after},
          {"best_epoch", t.best_epoch},
          {"learning_rate", t.learning_rate},
          {"stopped", stopped},
          {"stopped_layer", stopped_layer},
          {"epochs", epochs},
          {"step_kl", t.step_divergence},
          {"tokens", t.n_tokens}};
}

}  // namespace edgellm
