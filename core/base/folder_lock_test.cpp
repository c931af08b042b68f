#include "core/base/folder_lock.h"

#include <gtest/gtest.h>

#include "core/base/temporary_folder.h"

namespace edgellm {
namespace {

TEST(FolderLock, IsOneHoldersAtATimeAndFreeAgainAfterIt) {
  auto folder = TemporaryFolder::create("lock");
  ASSERT_TRUE(folder.ok());
  {
    auto first = FolderLock::take(*folder);
    ASSERT_TRUE(first.ok()) << first.error().message;
    FolderLock moved = std::move(*first);
    auto second = FolderLock::take(*folder);
    ASSERT_FALSE(second.ok());
    EXPECT_NE(second.error().message.find(folder->path().string()), std::string::npos);
  }
  EXPECT_TRUE(FolderLock::take(*folder).ok());
}

TEST(FolderLock, WantsAFolderThatIsThere) {
  auto folder = TemporaryFolder::create("lock");
  ASSERT_TRUE(folder.ok());
  EXPECT_FALSE(FolderLock::take(*folder / "missing").ok());
}

}  // namespace
}  // namespace edgellm
