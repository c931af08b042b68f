#include "compress/calibrate/hidden_store.h"

#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/base/file_size_limit.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

class HiddenStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("edgellm_hidden_store_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::vector<HiddenStore> both(at::ScalarType type) {
    HiddenShape shape = {.n_windows = 5, .n_tokens = 3, .n_embedding = 4, .type = type};
    std::vector<HiddenStore> stores;
    stores.push_back(HiddenStore::in_memory(shape).value());
    stores.push_back(HiddenStore::in_file(shape, folder_).value());
    return stores;
  }
  fs::path folder_;
};

at::Tensor states(int64_t n_windows) {
  return at::linspace(-3, 3, n_windows * 12).view({n_windows, 3, 4});
}

TEST_F(HiddenStoreTest, GivesBackWhatWasWrittenInItsType) {
  for (at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (HiddenStore& store : both(type)) {
      at::Tensor all = states(5);
      ASSERT_TRUE(store.write(2, all.narrow(0, 2, 3)).ok());
      ASSERT_TRUE(store.write(0, all.narrow(0, 0, 2)).ok());
      at::Tensor got = store.read(1, 3).value();
      EXPECT_EQ(got.scalar_type(), at::kFloat);
      EXPECT_TRUE(got.equal(all.narrow(0, 1, 3).to(type).to(at::kFloat)));
      ASSERT_TRUE(store.write(1, all.narrow(0, 1, 1) * 2).ok());
      EXPECT_FALSE(got.equal(store.read(1, 3).value())) << "what was read before must stay as it was";
    }
  }
}

TEST_F(HiddenStoreTest, IsSavedAndReadBackBetweenMemoryAndFile) {
  auto stores = both(at::kBFloat16);
  ASSERT_TRUE(stores[0].write(0, states(5)).ok());
  ASSERT_TRUE(stores[0].save(folder_ / "saved").ok());
  EXPECT_EQ(fs::file_size(folder_ / "saved"), stores[0].shape().n_bytes());
  ASSERT_TRUE(stores[1].read_from(folder_ / "saved").ok());
  EXPECT_TRUE(stores[1].read(0, 5).value().equal(stores[0].read(0, 5).value()));
}

TEST_F(HiddenStoreTest, RefusesAMissingFileAndOneOfAnotherShape) {
  auto stores = both(at::kBFloat16);
  EXPECT_FALSE(stores[0].read_from(folder_ / "nowhere").ok());
  std::ofstream(folder_ / "short") << "too short";
  Status status = stores[0].read_from(folder_ / "short");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("120 bytes, got 9"), std::string::npos) << status.error().message;
}

TEST_F(HiddenStoreTest, LeavesNothingBehind) {
  {
    auto stores = both(at::kFloat);
    ASSERT_TRUE(stores[1].write(0, states(5)).ok());
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(HiddenStoreTest, AFullDiskIsAnErrorThatNamesTheFolder) {
  auto stores = both(at::kFloat);
  Status status;
  {
    const FileSizeLimit limit(100);
    status = stores[1].write(0, states(5));
  }
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find(folder_.string()), std::string::npos) << status.error().message;
  EXPECT_TRUE(stores[1].write(0, states(5)).ok()) << "goes on once there is room";
}

}  // namespace
}  // namespace edgellm
