// What fit takes, and what it makes of the folder it works in.
#include "recipes/fit.h"

#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class Fit : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    write_model(at("model.gguf"));
    std::ofstream(at("text.txt")) << some_text(1500);
  }
  std::vector<std::string> fit(const std::string& model, const std::string& output) const {
    return {"fit", model, "--size", "70%", "--calibrate", "text.txt", "--context", "64", "-o", output};
  }
};

TEST_F(Fit, AHuggingFaceFolderIsConvertedFirstAndNothingOfThatIsLeft) {
  ASSERT_EQ(run({"convert", "model.gguf", "-o", "folder"}).exit_code, 0);
  Outcome outcome = run(fit("folder", "out.gguf"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_LE(double(fs::file_size(at("out.gguf"))), 0.7 * double(fs::file_size(at("model.gguf"))));
  EXPECT_EQ(run({"run", "out.gguf", "--prompt", "hello", "-n", "4"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(at("out.gguf.work")));
}

TEST_F(Fit, AnOutputMatrixThatRepeatsTheEmbeddingIsLeftOut) {
  auto tensors = tiny::tensors_of(model_shape());
  write_model(at("tied.gguf"), model_metadata(), tensors);
  ASSERT_EQ(tensors[0].declaration.name, "token_embd.weight");
  tensors.push_back(tensors[0]);
  tensors.back().declaration.name = "output.weight";
  write_model(at("repeated.gguf"), model_metadata(), tensors);
  for (const char* name : {"tied", "repeated"}) {
    auto command = fit(std::string(name) + ".gguf", std::string(name) + "-out.gguf");
    command[3] = "300000";
    Outcome outcome = run(command);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out.find("repeats the embedding") != std::string::npos,
              name == std::string("repeated"));
    auto report = nlohmann::json::parse(contents(at(std::string(name) + "-out.gguf.json")));
    EXPECT_EQ(report["output_tied"], name == std::string("repeated"));
  }
  Outcome again = run({"quantize", "repeated.gguf", "--types", "repeated-out.gguf.json", "-o", "again.gguf"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(fs::file_size(at("again.gguf")), fs::file_size(at("repeated-out.gguf")));
  EXPECT_EQ(contents(at("repeated-out.gguf")), contents(at("tied-out.gguf")));
}

TEST_F(Fit, TheKvCacheIsOneThatLeavesRoomForWeightsAndRunsTakeIt) {
  ASSERT_EQ(
      run({"inspect", "model.gguf", "--context", "4096", "--kv", "q8_0", "--json", "inspect.json"}).exit_code,
      0);
  const auto memory = nlohmann::json::parse(contents(at("inspect.json")))["run_memory"];
  // Half the weights beside a cache in q8_0; beside one in f16 there is no room for any.
  const uint64_t budget = memory["all"].get<uint64_t>() - memory["weights"].get<uint64_t>() / 2;
  const std::vector<std::string> fit = {"fit",  "model.gguf", "--memory", std::to_string(budget), "--context",
                                        "4096", "-o",         "out.gguf", "--calibrate",          "text.txt"};
  Outcome outcome = run(fit);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("-ctk q8_0"), std::string::npos) << outcome.out;
  auto report = nlohmann::json::parse(contents(at("out.gguf.json")));
  EXPECT_EQ(report["budget"]["kv"], "q8_0");
  EXPECT_TRUE(report["kv_choice"]["predicted_kl_with_f16"].is_null());
  EXPECT_LE(report["after"]["predicted_memory_bytes"].get<uint64_t>(), budget);
  auto file = GgufFile::open(at("out.gguf"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->metadata().string_or("edgellm.kv_type", ""), "q8_0");
  auto kv_of_run = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"run", "out.gguf", "--prompt", "hello", "-n", "4", "--json", "run.json"};
    all.insert(all.end(), more.begin(), more.end());
    EXPECT_EQ(run(all).exit_code, 0);
    return nlohmann::json::parse(contents(at("run.json")))["kv"].get<std::string>();
  };
  EXPECT_EQ(kv_of_run({}), "q8_0");
  EXPECT_EQ(kv_of_run({"--kv", "f16"}), "f16");
  ASSERT_EQ(run({"quantize", "model.gguf", "--types", "out.gguf.json", "-o", "again.gguf"}).exit_code, 0);
  EXPECT_EQ(fs::file_size(at("again.gguf")), fs::file_size(at("out.gguf")));
  auto given = fit;
  given.insert(given.end(), {"--kv", "f16"});
  expect_refused(given, {"smallest possible"});
}

TEST_F(Fit, AChoiceOfTheKvCacheThatIsKnownLeadsToTheSamePlan) {
  ASSERT_EQ(
      run({"inspect", "model.gguf", "--context", "64", "--kv", "f16", "--json", "inspect.json"}).exit_code,
      0);
  const auto memory = nlohmann::json::parse(contents(at("inspect.json")))["run_memory"];
  // From plans that barely fit beside f16 to plans of nearly all in Q8_0, as the stand-in is.
  for (double share : {0.6, 0.45}) {
    const uint64_t budget = memory["all"].get<uint64_t>() - uint64_t(share * memory["weights"].get<double>());
    const std::string work = fmt::format("work-{}", share);
    const std::vector<std::string> fit = {"fit",         "model.gguf", "--memory", std::to_string(budget),
                                          "--context",   "64",         "-o",       "out.gguf",
                                          "--calibrate", "text.txt",   "--work",   work,
                                          "--keep-work"};
    Outcome first = run(fit);
    ASSERT_EQ(first.exit_code, 0) << first.err;
    const std::string file = contents(at("out.gguf"));
    auto report = nlohmann::json::parse(contents(at("out.gguf.json")));
    EXPECT_TRUE(report["kv_choice"]["kl_of_q8_0"].is_number()) << report["kv_choice"];
    const auto tried = report["tried"];
    for (const auto& entry : fs::recursive_directory_iterator(at(work)))
      if (entry.path().filename().string().starts_with("search-")) fs::remove(entry.path());
    Outcome again = run(fit);
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_EQ(nlohmann::json::parse(contents(at("out.gguf.json")))["tried"], tried);
    EXPECT_TRUE(contents(at("out.gguf")) == file);
  }
}

TEST_F(Fit, PartsThatAddNothingMakeRoomForOthers) {
  write_idle_model(at("idle.gguf"));
  std::vector<std::string> fit = {"fit",         "idle.gguf", "--size", "20%",  "--context", "64",
                                  "--calibrate", "text.txt",  "--work", "work", "-o",        "out.gguf"};
  Outcome outcome = run(fit);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  auto report = nlohmann::json::parse(contents(at("out.gguf.json")));
  EXPECT_EQ(report["dropped_layers"], nlohmann::json({1}));
  EXPECT_EQ(report["dropped_attention"], nlohmann::json({2}));
  EXPECT_EQ(report["ffn_widths"], nlohmann::json({{"3", 768}}));
  EXPECT_LT(report["left_out"]["search_kl"], report["left_out"]["search_kl_of_whole"]);
  EXPECT_NE(outcome.out.find("without attention"), std::string::npos) << outcome.out;
  EXPECT_LE(fs::file_size(at("out.gguf")), fs::file_size(at("idle.gguf")) / 5);
  for (const auto& tensor : report["tensors"]) {
    EXPECT_NE(tensor["layer"], 1) << tensor;
    EXPECT_FALSE(tensor["layer"] == 2 && tensor["name"].get<std::string>().find("attn") != std::string::npos);
    EXPECT_EQ(tensor["layer"].get<int>() == 3, tensor["name"].get<std::string>().starts_with("blk.3."))
        << tensor;
  }
  auto file = GgufFile::open(at("out.gguf"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->metadata().string_or("general.architecture", ""), "deci");
  EXPECT_EQ(run({"run", "out.gguf", "--prompt", "hello", "-n", "4"}).exit_code, 0);
  expect_refused({"quantize", "idle.gguf", "--types", "out.gguf.json", "-o", "again.gguf"},
                 {"out.gguf.json", "parts of layers"});

  // What was chosen is known to a later run, and what was measured where only that is.
  for (const char* forgotten : {"search-", "shape-"}) {
    for (const auto& entry : fs::recursive_directory_iterator(at("work")))
      if (entry.is_regular_file() && entry.path().filename().string().starts_with(forgotten))
        fs::remove(entry.path());
    fit.back() = std::string(forgotten) + "out.gguf";
    Outcome again = run(fit);
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_TRUE(contents(at(fit.back())) == contents(at("out.gguf")));
  }

  fit.back() = "kept.gguf";
  fit.push_back("--keep-layers");
  ASSERT_EQ(run(fit).exit_code, 0);
  auto kept = nlohmann::json::parse(contents(at("kept.gguf.json")));
  EXPECT_TRUE(kept["dropped_layers"].empty() && kept["dropped_attention"].empty());
  EXPECT_GT(kept["after"]["mean_kl"], report["after"]["mean_kl"]);

  // A fast fit does not look for parts where types do little harm.
  fit.pop_back();
  fit[3] = "25%";
  fit.back() = "larger.gguf";
  ASSERT_EQ(run(fit).exit_code, 0);
  auto larger = nlohmann::json::parse(contents(at("larger.gguf.json")));
  EXPECT_LT(larger["predicted_kl"], 0.2);
  EXPECT_TRUE(larger["dropped_layers"].empty());
}

TEST_F(Fit, IsNoWorseThanTheBestPresetOfThatSize) {
  // With room for every type; where a preset exists that leaves hardly any other choice; and for the least.
  size_t n_judged = 0;
  for (const char* size : {"70%", "54%", "45%"}) {
    Outcome outcome = run({"fit", "model.gguf", "--size", size, "--calibrate", "text.txt", "--context", "64",
                           "-o", "out.gguf"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto report = nlohmann::json::parse(contents(at("out.gguf.json")));
    size_t n_presets = 0;
    // Nearer ones that do not talk are passed over.
    const bool is_nearest = report["chosen"] == report["verified"][0]["name"];
    for (const auto& plan : report["verified"]) {
      if (is_nearest) {
        EXPECT_LE(report["after"]["mean_kl"], plan["mean_kl"]) << plan;
      }
      n_presets += plan["preset"].get<bool>();
    }
    bool is_tried = false;
    for (const auto& plan : report["tried"])
      is_tried |= plan["name"] != "searched" && plan["name"] != "predicted";
    EXPECT_EQ(n_presets > 0, is_tried) << size;
    EXPECT_TRUE(is_tried || !report["not_measured"].empty()) << size;
    EXPECT_FALSE(report["why"].empty());
    n_judged += n_presets;
  }
  EXPECT_GT(n_judged, 0u) << "else nothing was compared";
}

TEST_F(Fit, ListsThePlansOfAllBudgetsThatNoOtherBeats) {
  std::vector<std::string> fit = {"fit",         "model.gguf", "--size", "70%",  "--context", "64",
                                  "--calibrate", "text.txt",   "--work", "work", "-o",        "large.gguf"};
  ASSERT_EQ(run(fit).exit_code, 0);
  fit[3] = "45%", fit.back() = "small.gguf";
  ASSERT_EQ(run(fit).exit_code, 0);
  fit[3] = "55%", fit.back() = "middle.gguf";
  Outcome outcome = run(fit);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto report = nlohmann::json::parse(contents(at("middle.gguf.json")));
  const auto& front = report["pareto"];
  ASSERT_GE(front.size(), 3u) << front;
  for (size_t i = 1; i < front.size(); ++i) {
    EXPECT_LT(front[i - 1]["file_bytes"], front[i]["file_bytes"]);
    EXPECT_GT(front[i - 1]["search_kl"], front[i]["search_kl"]);
  }
  EXPECT_LE(front.front()["file_bytes"], fs::file_size(at("small.gguf")));
  EXPECT_GT(front.back()["file_bytes"], fs::file_size(at("middle.gguf")));
  EXPECT_NE(outcome.out.find("  * "), std::string::npos) << outcome.out;
}

TEST_F(Fit, OfALargeModelLeavesOutOnlyWhatDoesNotFit) {
  write_idle_model(at("idle.gguf"));
  FitOptions options;
  options.model = at("idle.gguf");
  options.output = at("out.gguf");
  options.calibrate = {{at("text.txt"), {}}};
  options.n_context = 64;
  options.program = program_;
  options.effort.least_harm_to_leave_out = std::numeric_limits<double>::infinity();
  for (uint64_t n_bytes : {500'000, 125'000}) {
    options.size_bytes = n_bytes;
    auto report = edgellm::fit(options, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_EQ((*report)["dropped_layers"].empty(), n_bytes == 500'000) << (*report)["dropped_layers"];
  }
}

TEST_F(Fit, ATimeIsSpentOnWhatItIsEnoughFor) {
  if (!fs::exists(program_.parent_path() / "edgellm-torch")) GTEST_SKIP() << "edgellm-torch is not built";
  auto command = fit("model.gguf", "out.gguf");
  command.insert(command.end(), {"--time", "0.001s"});
  Outcome outcome = run(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("no time for more than a fast fit"), std::string::npos) << outcome.out;
  auto report = nlohmann::json::parse(contents(at("out.gguf.json")));
  EXPECT_EQ(report["time"]["compensation_windows"], 0);
  EXPECT_FALSE(report.contains("compensation"));
  command.back() = "9h59.5m30s";
  outcome = run(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  report = nlohmann::json::parse(contents(at("out.gguf.json")));
  EXPECT_EQ(report["time"]["seconds_asked"], 36000);
  const int n_windows =
      report["calibration"]["windows"].get<int>() - report["calibration"]["verify_windows"].get<int>();
  EXPECT_EQ(report["compensation"]["tokens"].get<int>() / report["calibration"]["window_tokens"].get<int>(),
            report["time"]["compensation_windows"]);
  EXPECT_LT(report["time"]["compensation_windows"].get<int>(), n_windows) << "some judge the training";
  EXPECT_EQ(report["time"]["training_epochs"], 4);
  EXPECT_TRUE(report.contains("compensation"));
  EXPECT_TRUE(report.contains("training"));
}

TEST_F(Fit, WhatWasSettledBeforeAStopStays) {
  if (!fs::exists(program_.parent_path() / "edgellm-torch")) GTEST_SKIP() << "edgellm-torch is not built";
  auto command = fit("model.gguf", "out.gguf");
  command.insert(command.end(), {"--work", "work", "--keep-work", "--time", "10h"});
  RunOptions stopped;
  stopped.signal = SIGINT;
  stopped.ready = [this] { return said_so_far().find("rounding with feedback") != std::string::npos; };
  ASSERT_NE(run(command, stopped).exit_code, 0);
  int n_settled = 0;
  for (const auto& entry : fs::recursive_directory_iterator(at("work")))
    for (const char* when : {"searched-", "compensated-"})
      if (entry.is_regular_file() && entry.path().filename().string().starts_with(when)) {
        std::ofstream(entry.path()) << "[9, 0]";
        n_settled += when == std::string("searched-");
      }
  ASSERT_EQ(n_settled, 1);
  Outcome outcome = run(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  auto report = nlohmann::json::parse(contents(at("out.gguf.json")));
  EXPECT_EQ(report["time"]["compensation_windows"], 9);
  EXPECT_EQ(report["time"]["training_epochs"], 0);
  for (const auto& entry : fs::recursive_directory_iterator(at("work")))
    EXPECT_FALSE(entry.path().filename().string().starts_with("searched-")) << entry.path();
}

TEST_F(Fit, TimesThatAreNoneAndTwoWaysToSayHowLongAreRefused) {
  for (const char* time :
       {"3", "-1h", "0m", "soon", "30m1h", "1h30", "nan", "0x10h", "1e3s", "1e9h", "9999999h", ""}) {
    auto command = fit("model.gguf", "out.gguf");
    command.insert(command.end(), {"--time", time});
    expect_usage_error(command, {"--time"});
  }
  auto command = fit("model.gguf", "out.gguf");
  command.insert(command.end(), {"--time", "3h", "--effort", "best"});
  expect_usage_error(command, {"--time", "--effort"});
}

TEST_F(Fit, AFolderThatHoldsNoModelIsNamedAndLeavesNothing) {
  fs::create_directory(at("empty"));
  Outcome outcome = run(fit("empty", "out.gguf"));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("empty"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(at("out.gguf")));
  EXPECT_FALSE(fs::exists(at("out.gguf.work")));
}

TEST_F(Fit, LeavesOneRecordOfWhatItMadeAndOfWhat) {
  auto command = fit("model.gguf", "out.gguf");
  command.insert(command.end(), {"--results", "kept", "--model-name", "Tiny"});
  Outcome outcome = run(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  ASSERT_EQ(std::distance(fs::directory_iterator(at("kept")), {}), 1);
  fs::path file = fs::directory_iterator(at("kept"))->path();
  EXPECT_NE(outcome.err.find(file.filename().string()), std::string::npos) << outcome.err;
  auto record = nlohmann::json::parse(contents(file));
  EXPECT_EQ(record["kind"], "fit");
  EXPECT_EQ(record["model"]["name"], "Tiny");
  EXPECT_EQ(record["model"]["file"], "out.gguf");
  EXPECT_EQ(record["model"]["bytes"], fs::file_size(at("out.gguf")));
  EXPECT_EQ(record["model"]["source"]["name"], "model.gguf");
  EXPECT_EQ(record["model"]["source"]["bytes"], fs::file_size(at("model.gguf")));
  const auto& figures = record["figures"];
  EXPECT_GE(figures["kl"]["mean"], 0.0);
  ASSERT_FALSE(figures["plan"].empty());
  for (const auto& tensor : figures["plan"]) EXPECT_GT(tensor["bits"], 0.0) << tensor;
  EXPECT_FALSE(figures["rivals"].empty());
}

TEST_F(Fit, KeepsNoRecordWhereNoneIsWanted) {
  auto command = fit("model.gguf", "out.gguf");
  command.emplace_back("--no-results");
  RunOptions options;
  options.environment["EDGELLM_RESULTS"] = at("kept").string();
  ASSERT_EQ(run(command, options).exit_code, 0);
  EXPECT_FALSE(fs::exists(at("kept")));
  command.back() = "--results";
  command.emplace_back("text.txt/kept");
  fs::remove(at("out.gguf"));
  fs::remove(at("out.gguf.json"));
  expect_refused(command, {"--results", "text.txt/kept"});
}

TEST_F(Fit, WorkThatWasDamagedIsDoneAgainWithTheSameResult) {
  auto command = fit("model.gguf", "out.gguf");
  command.insert(command.end(), {"--work", "work", "--keep-work"});
  ASSERT_EQ(run(command).exit_code, 0);
  std::string whole = contents(at("out.gguf"));
  for (const char* damage : {"{", "{\"dropped\": [99], \"choice\": 3}"}) {
    for (const auto& entry : fs::recursive_directory_iterator(at("work")))
      if (entry.path().extension() == ".json") std::ofstream(entry.path()) << damage;
    fs::remove(at("out.gguf"));
    Outcome outcome = run(command);
    ASSERT_EQ(outcome.exit_code, 0) << damage << outcome.err;
    EXPECT_EQ(contents(at("out.gguf")), whole) << damage;
  }
}

}  // namespace
}  // namespace edgellm::cli
