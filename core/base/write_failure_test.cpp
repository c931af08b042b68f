#include "core/base/write_failure.h"

#include <cerrno>
#include <gtest/gtest.h>

namespace edgellm {
namespace {

TEST(WriteFailure, SaysWhatToDoWhereThereIsNoRoom) {
  EXPECT_EQ(write_failure(ENOSPC), "No space left on device: make room and start again");
  EXPECT_EQ(write_failure(EDQUOT), "Disk quota exceeded: make room in your quota and start again");
  for (int full : {ENOSPC, EDQUOT, EFBIG})
    EXPECT_TRUE(is_of_full_disk(Error{"tensor a: cannot write b: " + write_failure(full)})) << full;
}

TEST(WriteFailure, OfAnotherKindIsTheSystemsWordsAlone) {
  EXPECT_EQ(write_failure(EACCES), "Permission denied");
  EXPECT_FALSE(is_of_full_disk(Error{"cannot write b: " + write_failure(EACCES)}));
}

}  // namespace
}  // namespace edgellm
