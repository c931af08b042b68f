// For tests: a small tree that stands for "/", with the files of /proc and /sys that a case is about.
#pragma once

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <unistd.h>

namespace edgellm {

class FakeSystem {
 public:
  FakeSystem() {
    std::string name = (std::filesystem::temp_directory_path() / "edgellm-system-XXXXXX").string();
    if (::mkdtemp(name.data())) root_ = name;
    EXPECT_FALSE(root_.empty());
  }
  ~FakeSystem() {
    std::error_code ignored;
    if (!root_.empty()) std::filesystem::remove_all(root_, ignored);
  }
  FakeSystem(const FakeSystem&) = delete;
  FakeSystem& operator=(const FakeSystem&) = delete;

  const std::filesystem::path& root() const { return root_; }
  void write(const std::string& path, std::string_view content) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream out(root_ / path, std::ios::binary);
    out << content;
    EXPECT_TRUE(out.flush().good()) << path;
  }
  void remove(const std::string& path) const { std::filesystem::remove_all(root_ / path); }

 private:
  std::filesystem::path root_;
};

}  // namespace edgellm
