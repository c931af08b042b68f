// bench --profile, and what fit makes of the speeds of another device.
#include <nlohmann/json.hpp>
#include <set>

#include "recipes/quantize.h"
#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class DeviceProfile : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    write_model(at("model.gguf"));
    std::ofstream(at("text.txt")) << some_text(1500);
  }
  std::vector<std::string> fit(const std::string& output, const std::vector<std::string>& more) const {
    std::vector<std::string> command = {"fit",      "model.gguf", "--size",     "50%", "--calibrate",
                                        "text.txt", "--context",  "64",         "-o",  output,
                                        "--work",   "work",       "--keep-work"};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
  nlohmann::json report(const std::string& output, const std::vector<std::string>& more,
                        const std::string& size = "50%") {
    std::vector<std::string> command = fit(output, more);
    command[3] = size;
    Outcome outcome = run(command);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    auto parsed = nlohmann::json::parse(contents(at(output + ".json")), nullptr, false);
    EXPECT_TRUE(parsed.is_object()) << output;
    return parsed;
  }
  // Seconds a weight by type.
  void write_profile(const std::string& name, const std::map<std::string, double>& seconds, int schema = 1) {
    nlohmann::json j = {
        {"schema", schema}, {"command", "bench --profile"}, {"backend", "a board"}, {"threads", 4}};
    for (const auto& [type, value] : seconds) j["types"][type] = {{"generation_seconds_per_weight", value}};
    std::ofstream(at(name)) << j.dump();
  }
  static std::map<std::string, double> by_bytes() {
    std::map<std::string, double> seconds;
    for (const TensorTypeInfo& type : tensor_types())
      if (is_writable(type)) seconds[std::string(type.name)] = 1e-9 * type.bits_per_value();
    return seconds;
  }
  static std::map<std::string, int> types_of(const nlohmann::json& report) {
    std::map<std::string, int> count;
    for (const auto& tensor : report["tensors"])
      if (tensor["name"] != "token_embd.weight") ++count[tensor["type"]];
    return count;
  }
};

TEST_F(DeviceProfile, BenchMeasuresThisDeviceWithoutAModel) {
  Outcome outcome = run({"bench", "--profile", "here.json", "--threads", "1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("Q4_K"), std::string::npos) << outcome.out;
  auto j = nlohmann::json::parse(contents(at("here.json")));
  EXPECT_EQ(j["threads"], 1);
  EXPECT_GT(j["types"]["Q4_K"]["prompt_seconds_per_weight"].get<double>(), 0);
  EXPECT_TRUE(j["machine"].contains("kernel"));
  auto fitted = report("out.gguf", {"--device-profile", "here.json"});
  EXPECT_GT(fitted["speed"]["predicted_seconds_per_token"].get<double>(), 0);
  EXPECT_FALSE(fitted["speed"].contains("most_seconds_per_token")) << "accuracy goes by no speeds";
  expect_usage_error({"bench"}, {"MODEL", "--profile"});
  expect_refused({"bench", "--profile", "nowhere/here.json"}, {"nowhere/here.json"});
  expect_refused({"bench", "--profile", "there.json", "--threads", "1,2"}, {"--profile"});
}

TEST_F(DeviceProfile, ATypeThatIsSlowThereIsAvoided) {
  // So few bytes that most tensors are in types that others come near to.
  const std::string size = "35%";
  auto accurate = report("accurate.gguf", {}, size);
  EXPECT_FALSE(accurate.contains("speed"));
  std::string favourite;
  int most = 0;
  for (const auto& [type, n] : types_of(accurate))
    if (n > most) {
      most = n;
      favourite = type;
    }
  auto seconds = by_bytes();
  write_profile("even.json", seconds);
  seconds[favourite] *= 1000;
  write_profile("slow.json", seconds);
  auto even = report("even.gguf", {"--optimize", "speed", "--device-profile", "even.json"}, size);
  auto slow = report("slow.gguf", {"--optimize", "speed", "--device-profile", "slow.json"}, size);
  EXPECT_LT(types_of(slow)[favourite], types_of(accurate)[favourite]) << favourite;
  EXPECT_LE(slow["speed"]["predicted_seconds_per_token"], slow["speed"]["most_seconds_per_token"]);
  EXPECT_LE(even["speed"]["predicted_seconds_per_token"], even["speed"]["most_seconds_per_token"]);
  EXPECT_EQ(slow["speed"]["optimize"], "speed");
  EXPECT_EQ(slow["speed"]["device"]["backend"], "a board");
  // The same files as before speeds were known: they change no plan that is for accuracy.
  EXPECT_EQ(contents(at("accurate.gguf")), [&] {
    report("again.gguf", {"--device-profile", "slow.json"}, size);
    return contents(at("again.gguf"));
  }());
}

TEST_F(DeviceProfile, SpeedMayCostMoreHarmThanBalanceAndIsFaster) {
  write_profile("even.json", by_bytes());
  auto balanced = report("b.gguf", {"--optimize", "balanced", "--device-profile", "even.json"});
  auto speed = report("s.gguf", {"--optimize", "speed", "--device-profile", "even.json"});
  EXPECT_LT(speed["speed"]["most_seconds_per_token"], balanced["speed"]["most_seconds_per_token"]);
  EXPECT_LT(speed["after"]["file_bytes"], balanced["after"]["file_bytes"]);
}

TEST_F(DeviceProfile, SecondsPerTokenAreKeptOrSaidToBeTooFew) {
  write_profile("even.json", by_bytes());
  auto speed = report("s.gguf", {"--optimize", "speed", "--device-profile", "even.json"});
  double seconds = speed["speed"]["predicted_seconds_per_token"];
  auto kept = report("k.gguf",
                     {"--seconds-per-token", std::to_string(1.1 * seconds), "--device-profile", "even.json"});
  EXPECT_LE(kept["speed"]["predicted_seconds_per_token"].get<double>(), 1.1 * seconds + 1e-6);
  Outcome outcome = run(fit("n.gguf", {"--seconds-per-token", "1e-9", "--device-profile", "even.json"}));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("the fastest possible takes"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(at("n.gguf")));
}

TEST_F(DeviceProfile, TypesThatAreMissingAreNotUsed) {
  write_profile("few.json", {{"Q8_0", 2e-9}, {"Q4_0", 1e-9}, {"Q3_K", 1e-9}});
  auto few = report("few.gguf", {"--optimize", "speed", "--device-profile", "few.json"});
  for (const auto& [type, n] : types_of(few))
    EXPECT_TRUE(type == "Q8_0" || type == "Q4_0" || type == "Q3_K") << type;
  write_profile("none.json", {{"TQ1_0", 2e-9}});
  Outcome outcome = run(fit("none.gguf", {"--optimize", "speed", "--device-profile", "none.json"}));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("no speed of any type"), std::string::npos) << outcome.err;
}

TEST_F(DeviceProfile, AProfileThatCannotBeUsedIsNamedBeforeAnyWork) {
  write_profile("newer.json", {{"Q8_0", 2e-9}}, 2);
  expect_refused(fit("out.gguf", {"--device-profile", "newer.json"}), {"newer.json", "schema 2"});
  expect_refused(fit("out.gguf", {"--device-profile", "text.txt"}), {"text.txt"});
  expect_refused(fit("out.gguf", {"--device-profile", "missing.json"}), {"missing.json"});
  expect_usage_error(fit("out.gguf", {"--optimize", "speed", "--seconds-per-token", "1"}),
                     {"--optimize", "--seconds-per-token"});
  expect_usage_error(fit("out.gguf", {"--optimize", "size"}), {"--optimize", "size"});
  expect_usage_error(fit("out.gguf", {"--seconds-per-token", "0"}), {"--seconds-per-token"});
}

}  // namespace
}  // namespace edgellm::cli
