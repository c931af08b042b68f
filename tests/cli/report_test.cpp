// A report over the records that commands leave, and what it refuses.
#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class Report : public ProgramTest {};

TEST_F(Report, ShowsWhatBenchLeft) {
  write_model(at("model.gguf"));
  ASSERT_EQ(
      run({"bench", "model.gguf", "--prompt", "8", "--generate", "4", "--runs", "1", "--results", "kept"})
          .exit_code,
      0);
  Outcome outcome = run({"report", "kept", "-o", "r.html", "--csv", "r.csv", "--markdown", "r.md"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(contents(at("r.html")).find("Seconds per token"), std::string::npos);
  EXPECT_NE(contents(at("r.md")).find("source poster"), std::string::npos);
  EXPECT_NE(contents(at("r.csv")).find("cpu_seconds_per_token"), std::string::npos);
}

TEST_F(Report, RefusesInOneLineAndWritesNothing) {
  expect_refused({"report", "nowhere", "-o", "r.html"}, {"nowhere"});
  fs::create_directory(at("kept"));
  expect_refused({"report", "kept", "-o", "r.html"}, {"kept", "--results"});
  std::ofstream(at("kept/new.json")) << "{\"schema\": 2}";
  expect_refused({"report", "kept", "-o", "r.html"}, {"new.json", "schema 2"});
  std::ofstream(at("kept/new.json")) << "{";
  expect_refused({"report", "kept", "-o", "r.html"}, {"new.json"});
  expect_usage_error({"report", "kept"}, {"--output"});
}

}  // namespace
}  // namespace edgellm::cli
