#include "recipes/fit_reasons.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace edgellm {
namespace {

nlohmann::json report_of(const char* verified, const char* rest = "{}") {
  nlohmann::json report = {{"chosen", "searched, compensated"},
                           {"after", {{"mean_kl", 0.1}}},
                           {"predicted_kl", 0.2},
                           {"not_measured", nlohmann::json::array()}};
  report["verified"] = nlohmann::json::parse(verified);
  report.update(nlohmann::json::parse(rest));
  return report;
}

std::string text_of(const nlohmann::json& report) {
  std::string text;
  for (const std::string& reason : fit_reasons(report)) text += reason + "\n";
  return text;
}

TEST(FitReasons, TellTheResultBesideWhatWasJudged) {
  EXPECT_EQ(
      text_of(report_of(R"([{"name": "searched, compensated", "mean_kl": 0.1, "preset": false},
                                  {"name": "searched", "mean_kl": 0.2, "preset": false},
                                  {"name": "predicted", "mean_kl": 0.25, "preset": false},
                                  {"name": "Q2_K", "mean_kl": 0.4, "preset": true}])")),
      "its KL is 0.50 of that of the same types rounded to nearest, 0.40 of that of 'predicted', 0.25 of "
      "that of Q2_K, the best preset of that size\n");
}

TEST(FitReasons, OnlyOnePresetIsTheBest) {
  EXPECT_EQ(text_of(report_of(R"([{"name": "searched, compensated", "mean_kl": 0.1, "preset": false},
                                  {"name": "Q3_K_S", "mean_kl": 0.2, "preset": true},
                                  {"name": "Q2_K", "mean_kl": 0.4, "preset": true}])")),
            "its KL is 0.50 of that of Q3_K_S, the best preset of that size, 0.25 of that of 'Q2_K'\n");
  auto report = report_of(R"([{"name": "Q2_K", "mean_kl": 0.1, "preset": true}])");
  report["chosen"] = "Q2_K";
  EXPECT_EQ(text_of(report), "it is a preset's plan: nothing that was tried is nearer\n");
}

TEST(FitReasons, TellWhyNoPresetWasJudged) {
  const char* alone = R"([{"name": "searched, compensated", "mean_kl": 0.1, "preset": false}])";
  EXPECT_EQ(text_of(report_of(alone)), "no preset keeps to this budget\n");
  EXPECT_EQ(
      text_of(report_of(alone, R"({"not_measured": [{"name": "Q2_K", "predicted_kl": 0.5}]})")),
      "no preset was worth measuring: Q2_K, the best of that size, is predicted to be 2.5 times as far from "
      "the original as the plan\n");
}

TEST(FitReasons, TellWhyPartsAreLeftOut) {
  const char* alone = R"([{"name": "searched, compensated", "mean_kl": 0.1, "preset": false}])";
  EXPECT_EQ(
      text_of(report_of(alone, R"({"left_out": {"search_kl": 0.9, "search_kl_of_whole": 1.2}})")),
      "no preset keeps to this budget\n"
      "parts are left out because the best plan without them had a KL of 0.9000 on the search text, that of "
      "the whole model 1.2000\n");
  EXPECT_EQ(
      text_of(report_of(alone, R"({"left_out": {"search_kl": 0.9, "search_kl_of_whole": null}})")),
      "no preset keeps to this budget\n"
      "parts are left out because the best plan without them had a KL of 0.9000 on the search text, and no "
      "plan of the whole model fits\n");
}

}  // namespace
}  // namespace edgellm
