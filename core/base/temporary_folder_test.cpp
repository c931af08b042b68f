#include "core/base/temporary_folder.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>

namespace edgellm {
namespace {

namespace fs = std::filesystem;

TEST(TemporaryFolder, is_gone_with_what_it_holds_when_it_ends) {
  fs::path path;
  {
    auto folder = TemporaryFolder::create("test");
    ASSERT_TRUE(folder.ok()) << folder.error().message;
    path = folder->path();
    EXPECT_TRUE(fs::is_directory(path));
    fs::create_directory(*folder / "inner");
    std::ofstream(*folder / "inner" / "file") << "text";
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(TemporaryFolder, is_another_one_every_time) {
  auto one = TemporaryFolder::create("test"), other = TemporaryFolder::create("test");
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_NE(one->path(), other->path());
}

TEST(TemporaryFolder, keeps_its_folder_when_it_is_moved) {
  auto made = TemporaryFolder::create("test");
  ASSERT_TRUE(made.ok());
  fs::path path = made->path();
  TemporaryFolder moved = std::move(*made);
  EXPECT_EQ(moved.path(), path);
  EXPECT_TRUE(fs::is_directory(path));
}

TEST(TemporaryFolder, says_what_is_missing) {
  const char* before = std::getenv("TMPDIR");
  std::string kept = before ? before : "";
  ::setenv("TMPDIR", "/nowhere/at/all", 1);
  auto folder = TemporaryFolder::create("test");
  if (before)
    ::setenv("TMPDIR", kept.c_str(), 1);
  else
    ::unsetenv("TMPDIR");
  ASSERT_FALSE(folder.ok());
  EXPECT_NE(folder.error().message.find("TMPDIR"), std::string::npos);
}

}  // namespace
}  // namespace edgellm
