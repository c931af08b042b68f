#include "recipes/fit_reasons.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace edgellm {
namespace {

using Json = nlohmann::json;

// The plan's own name, without what was done to its tensors.
std::string_view plan_of(std::string_view name) {
  return name.substr(0, name.find(','));
}

// "its KL is 0.31 of that of Q2_K, the best preset of that size": of all that were judged but itself.
std::string result_beside_others(const Json& report) {
  const std::string chosen = report["chosen"];
  const auto judged = [&](const Json& plan) { return plan["mean_kl"].get<double>(); };
  const double kl = judged(report["after"]);
  std::string text;
  bool has_preset = false;  // plans are told the best first
  for (const Json& plan : report["verified"]) {
    const std::string name = plan["name"];
    const bool is_best_preset = plan["preset"].get<bool>() && !std::exchange(has_preset, true);
    if (name == chosen || !(judged(plan) > 0)) continue;
    std::string what = fmt::format("'{}'", name);
    if (is_best_preset)
      what = fmt::format("{}, the best preset of that size", name);
    else if (name == plan_of(chosen))
      what = "the same types rounded to nearest";
    text += fmt::format("{} {:.2f} of that of {}", text.empty() ? "its KL is" : ",", kl / judged(plan), what);
  }
  return text;
}

}  // namespace

std::vector<std::string> fit_reasons(const Json& report) {
  std::vector<std::string> reasons;
  if (std::string text = result_beside_others(report); !text.empty()) reasons.push_back(std::move(text));
  bool has_preset = false;
  for (const Json& plan : report["verified"]) {
    has_preset = has_preset || plan["preset"].get<bool>();
    if (plan["preset"].get<bool>() && plan["name"] == report["chosen"])
      reasons.push_back("it is a preset's plan: nothing that was tried is nearer");
  }
  if (!has_preset && !report["not_measured"].empty()) {
    const Json& nearest = report["not_measured"][0];
    reasons.push_back(
        fmt::format("no preset was worth measuring: {}, the best of that size, is predicted to be "
                    "{:.1f} times as far from the original as the plan",
                    nearest["name"].get<std::string>(),
                    nearest["predicted_kl"].get<double>() / report["predicted_kl"].get<double>()));
  } else if (!has_preset) {
    reasons.push_back("no preset keeps to this budget");
  }
  if (report.contains("left_out") && report["left_out"]["search_kl"].is_number()) {
    const Json& left_out = report["left_out"];
    reasons.push_back(fmt::format(
        "parts are left out because the best plan without them had a KL of {:.4f} on the search text, {}",
        left_out["search_kl"].get<double>(),
        left_out["search_kl_of_whole"].is_number()
            ? fmt::format("that of the whole model {:.4f}", left_out["search_kl_of_whole"].get<double>())
            : std::string("and no plan of the whole model fits")));
  }
  return reasons;
}

}  // namespace edgellm
