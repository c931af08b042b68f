#include "apps/cli/fit_print.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "apps/cli/byte_size.h"
#include "apps/cli/calibration_option.h"
#include "apps/cli/compensation_text.h"
#include "apps/cli/duration.h"

namespace edgellm {
namespace {

void print_row(const char* what, const std::string& before, const std::string& after,
               const std::string& change = "") {
  fmt::print("  {:<26}{:>14}{:>14}  {}\n", what, before, after, change);
}

void print_kv_choice(const nlohmann::json& r) {
  std::string text = r["budget"]["kv"];
  if (r.contains("kv_choice")) {
    const auto& choice = r["kv_choice"];
    auto kl = [&](const char* key) {
      return choice[key].is_number() ? fmt::format("{:.4f}", choice[key].get<double>()) : std::string("none");
    };
    text += fmt::format(", predicted KL of the weights: {} beside q8_0, {} beside f16",
                        kl("predicted_kl_with_q8_0"), kl("predicted_kl_with_f16"));
    if (choice["kl_of_q8_0"].is_number()) text += fmt::format("; q8_0 itself adds {}", kl("kl_of_q8_0"));
  } else if (text == "f16") {
    return;
  }
  fmt::print("    {:<18}{}\n", "KV cache", text);
}

// Those of this fit, and of others in its folder where none of all is both smaller and nearer.
void print_plans(const nlohmann::json& r) {
  struct Row {
    std::string name;
    uint64_t n_bytes;
    double kl;
    bool is_unbeaten;
  };
  std::vector<Row> rows;
  auto is_unbeaten = [&](const nlohmann::json& plan) {
    return std::ranges::any_of(r["pareto"], [&](const nlohmann::json& other) {
      return other["file_bytes"] == plan["file_bytes"] && other["search_kl"] == plan["search_kl"];
    });
  };
  for (const auto& plan : r["tried"])
    rows.push_back({plan["name"], plan["file_bytes"], plan["search_kl"], is_unbeaten(plan)});
  for (const auto& plan : r["pareto"]) {
    auto is_told = [&](const Row& row) {
      return row.n_bytes == plan["file_bytes"] && row.kl == plan["search_kl"];
    };
    if (std::ranges::none_of(rows, is_told))
      rows.push_back({plan["name"], plan["file_bytes"], plan["search_kl"], true});
  }
  std::ranges::stable_sort(rows, {}, [](const Row& row) { return std::pair(row.n_bytes, row.kl); });
  fmt::print("\n  plans measured on the search text (*: none is both smaller and nearer):\n");
  for (const Row& row : rows)
    fmt::print("  {} {:<12}{:>12}  KL {:.4f}\n", row.is_unbeaten ? "*" : " ", row.name,
               byte_size_text(row.n_bytes), row.kl);
  for (const auto& t : r["not_measured"])
    fmt::print("    {:<12}{:>12}  not measured: predicted KL {:.4f}, the plan's is {:.4f}\n",
               t["name"].get<std::string>(), byte_size_text(t["file_bytes"].get<uint64_t>()),
               t["predicted_kl"].get<double>(), r["predicted_kl"].get<double>());
}

void print_judged(const nlohmann::json& r) {
  fmt::print("  judged on text that only the choice among these is made by:\n");
  for (const auto& plan : r["verified"])
    fmt::print("    {:<31} KL {:.4f} +- {:.4f}{}\n", plan["name"].get<std::string>(),
               plan["mean_kl"].get<double>(), plan["mean_kl_standard_error"].get<double>(),
               plan["name"] == r["chosen"] ? "  this was written" : "");
  fmt::print("  why:\n");
  for (const auto& reason : r["why"]) fmt::print("    {}\n", reason.get<std::string>());
}

}  // namespace

void print_fit(const nlohmann::json& r) {
  const auto &b = r["before"], &a = r["after"];
  auto bytes = [](const nlohmann::json& side, const char* key) {
    return side[key].is_number() ? byte_size_text(side[key].get<uint64_t>()) : std::string("-");
  };
  auto number = [](const nlohmann::json& side, const char* key, int digits) {
    return side[key].is_number() ? fmt::format("{:.{}f}", side[key].get<double>(), digits) : std::string("-");
  };
  fmt::print("\n  {:<26}{:>14}{:>14}\n", "", "before", "after");
  print_row("file", bytes(b, "file_bytes"), bytes(a, "file_bytes"),
            fmt::format("{:.1f}%", 100 * a["file_bytes"].get<double>() / b["file_bytes"].get<double>()));
  print_row("memory of a run, predicted", bytes(b, "predicted_memory_bytes"),
            bytes(a, "predicted_memory_bytes"));
  print_row("memory of a run, measured", bytes(b, "peak_resident_bytes"), bytes(a, "peak_resident_bytes"));
  print_row("perplexity", number(b, "perplexity", 3), number(a, "perplexity", 3));
  print_row("KL to the original", "-", number(a, "mean_kl", 4),
            fmt::format("+- {}", number(a, "mean_kl_standard_error", 4)));
  print_row("same most likely token", "-", fmt::format("{:.1f}%", 100 * a["same_top"].get<double>()));
  print_row("prompt tokens/s", number(b, "prompt_tokens_per_second", 1),
            number(a, "prompt_tokens_per_second", 1));
  print_row("generated tokens/s", number(b, "generated_tokens_per_second", 1),
            number(a, "generated_tokens_per_second", 1));
  if (r.contains("speed")) {
    auto seconds = [&](const char* key) {
      const auto& value = r["speed"][key];
      return value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : std::string("-");
    };
    print_row("s/token of the products", seconds("predicted_seconds_per_token_before"),
              seconds("predicted_seconds_per_token"), r["speed"]["device"]["backend"].get<std::string>());
  }

  std::map<std::string, std::map<std::string, int>> by_role;
  for (const auto& t : r["tensors"]) ++by_role[t["role"]][t["type"]];
  fmt::print("\n  what was done ({} plan):\n", r["chosen"].get<std::string>());
  for (const auto& [role, types] : by_role) {
    std::string text;
    for (const auto& [type, n] : types) text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", type, n);
    fmt::print("    {:<18}{}\n", role, text);
  }
  print_kv_choice(r);
  for (const auto& [label, key] : {std::pair{"layers left out", "dropped_layers"},
                                   {"without attention", "dropped_attention"},
                                   {"without feed-fwd.", "dropped_ffn"},
                                   {"narrower ffn", "ffn_widths"}})
    if (!r[key].empty()) fmt::print("    {:<18}{}\n", label, r[key].dump());
  if (r["output_tied"].get<bool>())
    fmt::print("    output matrix     repeats the embedding: left out, the embedding takes its place\n");
  print_plans(r);
  print_judged(r);
  if (r.contains("compensation")) {
    if (const std::string text = raised_damping_text(r["compensation"]["tensors"]); !text.empty())
      fmt::print("  {}", text);
    if (r["compensation"].contains("layers"))
      fmt::print("  {}", trained_layers_text(r["compensation"]["layers"]));
    if (r["compensation"].contains("layers_lack_bytes"))
      fmt::print(
          "  layers were not trained one by one: that takes {}, more than half of this machine's memory\n",
          byte_size_text(r["compensation"]["layers_lack_bytes"].get<uint64_t>()));
  }
  if (r.contains("training"))
    if (const std::string text = ended_training_text(r["training"]); !text.empty())
      fmt::print("  WARNING: {}", text);
  const auto& c = r["calibration"];
  fmt::print("\n  text: {} windows of {} tokens, {}; {} of them kept apart for the figures above\n",
             c["windows"].get<int>(), c["window_tokens"].get<int>(), calibration_sources_text(c),
             c["verify_windows"].get<int>());
  double total = 0;
  std::string stages;
  for (const auto& s : r["stages"]) {
    total += s["seconds"].get<double>();
    stages += fmt::format("{}{} {}", stages.empty() ? "" : ", ", s["stage"].get<std::string>(),
                          duration_text(s["seconds"]));
  }
  fmt::print("  time: {} ({})\n", duration_text(total), stages);
  if (r.contains("time")) {
    const auto& t = r["time"];
    fmt::print("  of {} asked for: {}\n", duration_text(t["seconds_asked"]),
               t["compensation_windows"] == 0
                   ? "no time for more than a fast fit"
                   : fmt::format("errors fed back on {} windows, {} epochs of training",
                                 t["compensation_windows"].get<int>(), t["training_epochs"].get<int>()));
  }
  if (r["generation"]["collapsed"].get<bool>()) {
    fmt::print("\n  WARNING: the result answers with nothing or in loops; give it more bytes.\n");
    return;
  }
  for (const auto& name : r["generation"]["collapsed_plans"])
    fmt::print(
        "\n  {} is nearer to the original, but answers with nothing or in loops: the next was taken.\n",
        name.get<std::string>());
}

}  // namespace edgellm
