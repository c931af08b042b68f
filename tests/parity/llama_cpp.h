// For tests against stock llama.cpp: the peer, run as a child through shared/tools/peer.py, and where the
// models are.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/temporary_folder.h"
#include "core/base/test_folders.h"

namespace edgellm::parity {

namespace fs = std::filesystem;

class LlamaCpp {
 public:
  // Why there is no peer, and how to get one; empty when there is.
  static std::string missing() {
    if (!fs::exists(script())) return "no tools/peer.py in the shared folder: EDGELLM_SHARED names it";
    const char* python = std::getenv("EDGELLM_PEER_PYTHON");
    if (!python)
      return "EDGELLM_PEER_PYTHON names no Python with llama.cpp: tests/parity/README.md says how to get one";
    if (!fs::exists(python)) return "EDGELLM_PEER_PYTHON names " + std::string(python) + ", which is missing";
    return "";
  }

  // The n most likely tokens after `text` with their log-probabilities, most likely first; text tokenized by
  // the peer.
  static std::vector<std::pair<int32_t, double>> top(const fs::path& model, const std::string& text, int n) {
    nlohmann::json answer = ask({"top", model.string(), "--text", text, "--n", std::to_string(n)});
    std::vector<std::pair<int32_t, double>> found;
    if (answer.contains("top"))
      for (const auto& entry : answer["top"])
        found.emplace_back(entry[0].get<int32_t>(), entry[1].get<double>());
    return found;
  }

  // What the peer goes on to say after "The capital of France is"; nothing, and a failure, when it does not
  // load the file.
  static std::optional<std::string> load(const fs::path& model) {
    nlohmann::json answer = ask({"load", model.string()});
    if (!answer.contains("text")) return std::nullopt;
    return answer["text"].get<std::string>();
  }

 private:
  static fs::path script() { return shared_folder() / "tools" / "peer.py"; }
  static std::string quoted(const std::string& word) {
    std::string safe = "'";
    for (char c : word) safe += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return safe + "'";
  }
  static nlohmann::json ask(const std::vector<std::string>& arguments) {
    const fs::path said = fs::temp_directory_path() / ("edgellm-peer-" + std::to_string(::getpid()) + ".txt");
    std::string command = quoted(std::getenv("EDGELLM_PEER_PYTHON")) + " " + quoted(script().string());
    for (const std::string& a : arguments) command += " " + quoted(a);
    command += " 2>" + quoted(said.string());
    std::string out;
    FILE* pipe = ::popen(command.c_str(), "r");
    char piece[4096];
    for (size_t n; pipe && (n = std::fread(piece, 1, sizeof piece, pipe)) > 0;) out.append(piece, n);
    const int status = pipe ? ::pclose(pipe) : -1;
    std::ifstream in(said);
    const std::string log{std::istreambuf_iterator<char>(in), {}};
    fs::remove(said);
    nlohmann::json answer = nlohmann::json::parse(out, nullptr, false);
    EXPECT_TRUE(status == 0 && answer.is_object()) << command << "\n"
                                                   << log.substr(log.size() > 2000 ? log.size() - 2000 : 0);
    return answer.is_object() ? answer : nlohmann::json::object();
  }
};

// A folder of the test's own for the files it writes.
class ParityTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string why = LlamaCpp::missing(); !why.empty()) GTEST_SKIP() << why;
  }
  fs::path at(const std::string& name) const { return folder_ / name; }

 private:
  TemporaryFolder folder_ = *TemporaryFolder::create("parity");
};

}  // namespace edgellm::parity

#define EDGELLM_SKIP_WITHOUT_MODEL(path) \
  if (!std::filesystem::exists(path))    \
  GTEST_SKIP() << "no model at " << (path) << "; EDGELLM_MODELS names the folder"
