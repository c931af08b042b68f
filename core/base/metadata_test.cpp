#include "core/base/metadata.h"

#include <gtest/gtest.h>

namespace edgellm {
namespace {

TEST(Metadata, KeepsOrderAndReplacesInPlace) {
  Metadata m;
  m.set("a", MetadataValue::of_uint32(1));
  m.set("b", MetadataValue::of_string("x"));
  m.set("a", MetadataValue::of_uint32(7));
  ASSERT_EQ(m.entries().size(), 2u);
  EXPECT_EQ(m.entries()[0].first, "a");
  EXPECT_EQ(*m.integer("a"), 7);
}

TEST(Metadata, RemoveKeepsTheRestReachable) {
  Metadata m;
  for (const char* key : {"a", "b", "c"}) m.set(key, MetadataValue::of_string(key));
  EXPECT_TRUE(m.remove("b"));
  EXPECT_FALSE(m.remove("b"));
  EXPECT_EQ(*m.string("c"), "c");
  EXPECT_EQ(m.entries().size(), 2u);
}

TEST(Metadata, WrongKindNamesKeyAndBothKinds) {
  Metadata m;
  m.set("k", MetadataValue::of_float32s({1, 2}));
  EXPECT_EQ(m.string("k").error().message, "metadata key 'k': wanted a string, got array of float32");
  EXPECT_EQ(m.integer("z").error().message, "metadata key 'z' is missing (wanted an integer)");
}

TEST(Metadata, CountsTheElementsOfArraysAndOneForAnythingElse) {
  EXPECT_EQ(MetadataValue::of_strings({"a", "b", "c"}).n_elements(), 3u);
  EXPECT_EQ(MetadataValue::of_booleans({true, false}).n_elements(), 2u);
  EXPECT_EQ(MetadataValue::of_string("abc").n_elements(), 1u);
  EXPECT_EQ(MetadataValue::of_uint32(7).n_elements(), 1u);
}

TEST(Metadata, TooLargeIntegerIsAnError) {
  Metadata m;
  m.set("k", MetadataValue::of_uint64(~0ull));
  EXPECT_FALSE(m.integer("k").ok());
}

}  // namespace
}  // namespace edgellm
