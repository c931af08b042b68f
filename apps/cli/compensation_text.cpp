#include "apps/cli/compensation_text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace edgellm {

std::string trained_layers_text(const nlohmann::json& layers) {
  std::string text;
  size_t n_better = 0, n_finite = 0;
  double before = 0, after = 0;
  for (const auto& layer : layers) {
    if (layer["stopped"].is_string())
      text += fmt::format("warning: training of layer {} ended early: {}\n", layer["layer"].get<size_t>(),
                          layer["stopped"].get<std::string>());
    n_better += layer["best_epoch"] != 0;
    // What is no number is null once it was written.
    if (!layer["held_error"].is_number() || !std::isfinite(layer["held_error"].get<double>())) continue;
    ++n_finite;
    before += layer["held_error_before"].get<double>(), after += layer["held_error"].get<double>();
  }
  const double n = double(std::max<size_t>(n_finite, 1));
  return text +
         fmt::format(
             "layers trained: {} of {} are nearer to the original on text held back, the mean error {:.4f} "
             "of what a layer adds, {:.4f} before\n",
             n_better, layers.size(), after / n, before / n);
}

std::string ended_training_text(const nlohmann::json& training) {
  if (!training["stopped"].is_string()) return {};
  std::string where;
  if (training["stopped_layer"].is_number())
    where = fmt::format(", in layer {} first", training["stopped_layer"].get<size_t>());
  return fmt::format("training ended early: {}{}\n", training["stopped"].get<std::string>(), where);
}

std::string raised_damping_text(const nlohmann::json& tensors) {
  size_t n = 0;
  double most = 0;
  std::string first;
  for (const auto& tensor : tensors) {
    if (!tensor["damping_raised"].get<bool>()) continue;
    if (n++ == 0) first = tensor["name"].get<std::string>();
    most = std::max(most, tensor["damping"].get<double>());
  }
  if (n == 0) return {};
  return fmt::format(
      "warning: the second moments of the inputs of {} tensors ({} first) are not positive definite with the "
      "damping asked for: up to {:.2g} of their mean was added; more text tells more of them\n",
      n, first, most);
}

}  // namespace edgellm
