#include "results/results_folder.h"

#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sys/wait.h>
#include <thread>

#include "core/base/temporary_folder.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class ResultsFolder : public testing::Test {
 protected:
  static ResultRecord record(const std::string& model) {
    ResultRecord r;
    r.kind = "eval";
    r.model.name = model;
    r.figures = json::object();
    return r;
  }
  std::string error() const {
    auto read = read_records(folder_);
    return read.ok() ? "" : read.error().message;
  }

  TemporaryFolder folder_ = *TemporaryFolder::create("results");
};

TEST_F(ResultsFolder, is_made_when_the_first_record_comes) {
  fs::path inner = folder_ / "a" / "b";
  auto path = append_record(inner, record("Small"));
  ASSERT_TRUE(path.ok()) << path.error().message;
  auto read = read_records(inner);
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ((*read)[0].model.name, "Small");
  EXPECT_EQ((*read)[0].id, path->stem().string());
  EXPECT_EQ((*read)[0].time.size(), std::string("2026-11-23T09:40:12Z").size());
}

TEST_F(ResultsFolder, any_model_name_gives_a_file_in_the_folder) {
  for (const std::string& name : {std::string("../../up"), std::string(5000, 'x'), std::string("a/b\n\"<c>"),
                                  std::string("\xff\xfe"), std::string()})
    ASSERT_TRUE(append_record(folder_, record(name)).ok()) << name;
  auto read = read_records(folder_);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->size(), 5u);
}

TEST_F(ResultsFolder, several_processes_and_threads_append_at_once) {
  constexpr int kProcesses = 4, kThreads = 3, kRecords = 10;
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    pid_t child = ::fork();
    if (child == 0) {
      std::vector<std::thread> threads;
      std::atomic<bool> good = true;
      for (int t = 0; t < kThreads; ++t)
        threads.emplace_back([&] {
          for (int i = 0; i < kRecords; ++i)
            if (!append_record(folder_ / "new", record("Small")).ok()) good = false;
        });
      for (auto& thread : threads) thread.join();
      ::_exit(good ? 0 : 1);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  auto read = read_records(folder_ / "new");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->size(), size_t{kProcesses * kThreads * kRecords});
  for (const auto& entry : fs::directory_iterator(folder_ / "new"))
    EXPECT_EQ(entry.path().extension(), ".json") << entry.path();
}

TEST_F(ResultsFolder, without_records_says_how_to_get_some) {
  EXPECT_NE(error().find("--results"), std::string::npos) << error();
  std::ofstream(folder_ / "notes.txt") << "no record";
  EXPECT_NE(error().find("no results yet"), std::string::npos) << error();
}

TEST_F(ResultsFolder, that_is_not_there_or_is_a_file_is_named) {
  auto missing = read_records(folder_ / "nowhere");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("nowhere"), std::string::npos);
  std::ofstream(folder_ / "file") << "x";
  EXPECT_FALSE(append_record(folder_ / "file", record("Small")).ok());
}

TEST_F(ResultsFolder, a_broken_or_newer_file_is_named) {
  ASSERT_TRUE(append_record(folder_, record("Small")).ok());
  std::ofstream(folder_ / "torn.json") << "{\"schema\": 1, \"ki";
  EXPECT_NE(error().find("torn.json"), std::string::npos) << error();
  std::ofstream(folder_ / "torn.json") << "{\"schema\": 2, \"kind\": \"eval\"}";
  EXPECT_NE(error().find("torn.json"), std::string::npos) << error();
  EXPECT_NE(error().find("schema 2"), std::string::npos) << error();
  fs::remove(folder_ / "torn.json");
  // What a killed program leaves behind is no record.
  std::ofstream(folder_ / "torn.json.partial-12") << "{";
  EXPECT_EQ(error(), "");
}

TEST_F(ResultsFolder, is_where_the_environment_says) {
  ::setenv("EDGELLM_RESULTS", "/given", 1);
  EXPECT_EQ(default_results_folder(), "/given");
  ::setenv("EDGELLM_RESULTS", "", 1);
  ::setenv("XDG_DATA_HOME", "/data", 1);
  EXPECT_EQ(default_results_folder(), "/data/edgellm/results");
  ::unsetenv("XDG_DATA_HOME");
  ::setenv("HOME", "/home/me", 1);
  EXPECT_EQ(default_results_folder(), "/home/me/.local/share/edgellm/results");
  ::unsetenv("HOME");
  EXPECT_EQ(default_results_folder(), "");
}

}  // namespace
}  // namespace edgellm
