// For tests: a small tree that stands for "/", with the files of /proc and /sys that a case is about.
#pragma once

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <unistd.h>

#include "core/base/temporary_folder.h"

namespace edgellm {

class FakeSystem {
 public:
  const std::filesystem::path& root() const { return root_.path(); }
  void write(const std::string& path, std::string_view content) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream out(root_ / path, std::ios::binary);
    out << content;
    EXPECT_TRUE(out.flush().good()) << path;
  }
  void remove(const std::string& path) const { std::filesystem::remove_all(root_ / path); }

 private:
  TemporaryFolder root_ = *TemporaryFolder::create("system");
};

}  // namespace edgellm
