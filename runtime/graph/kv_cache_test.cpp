#include "runtime/graph/kv_cache.h"

#include <gtest/gtest.h>

namespace edgellm {
namespace {

TEST(KvTypeFor, TheFilesTypeIsTakenUnlessAnotherIsGiven) {
  Metadata file;
  EXPECT_EQ(kv_type_for(file, "auto").value(), KvType::f16);
  file.set(kKvTypeKey, MetadataValue::of_string("q8_0"));
  EXPECT_EQ(kv_type_for(file, "auto").value(), KvType::q8_0);
  EXPECT_EQ(kv_type_for(file, "f16").value(), KvType::f16);
  EXPECT_EQ(kv_type_for({}, "q8_0").value(), KvType::q8_0);
}

TEST(KvTypeFor, ATypeThatIsNotKnownIsNamedWithItsKey) {
  Metadata file;
  file.set(kKvTypeKey, MetadataValue::of_string("q9\x1b_9"));
  auto type = kv_type_for(file, "auto");
  ASSERT_FALSE(type.ok());
  for (const char* told : {"edgellm.kv_type", "q9", "_9", "--kv"})
    EXPECT_NE(type.error().message.find(told), std::string::npos) << type.error().message;
  EXPECT_EQ(type.error().message.find('\x1b'), std::string::npos);
  EXPECT_EQ(kv_type_for(file, "f16").value(), KvType::f16);
}

TEST(KvCache, HeadsThatAreNoMultipleOf32FitF16Only) {
  Hyperparameters h;
  h.head_width_k = 64, h.head_width_v = 48;
  EXPECT_TRUE(KvCache::fits(h, KvType::f16));
  EXPECT_FALSE(KvCache::fits(h, KvType::q8_0));
  h.head_width_v = 96;
  EXPECT_TRUE(KvCache::fits(h, KvType::q8_0));
}

}  // namespace
}  // namespace edgellm
