#include "recipes/text_source.h"

#include <gtest/gtest.h>

#include "core/base/output_file.h"
#include "core/base/temporary_folder.h"

namespace edgellm {
namespace {

class TextSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto folder = TemporaryFolder::create("text");
    ASSERT_TRUE(folder.ok()) << folder.error().message;
    folder_.emplace(std::move(*folder));
  }
  std::filesystem::path written(const std::string& name, const std::string& text) {
    const std::filesystem::path path = folder_->path() / name;
    EXPECT_TRUE(write_text_file(path, text).ok());
    return path;
  }
  std::string refusal(const std::string& text) {
    auto read = read_source_text(written("text.txt", text));
    return read.ok() ? std::string() : read.error().message;
  }
  std::optional<TemporaryFolder> folder_;
};

TEST_F(TextSourceTest, AWeightFollowsTheLastEqualsSign) {
  for (const auto& [text, file, weight] : {std::tuple{"notes.txt", "notes.txt", 0.0},
                                           {"notes.txt=2", "notes.txt", 2.0},
                                           {"a=b.txt=0.25", "a=b.txt", 0.25}}) {
    auto source = parse_text_source(text);
    ASSERT_TRUE(source.ok()) << source.error().message;
    EXPECT_EQ(source->file, file);
    EXPECT_EQ(source->weight.value_or(0), weight);
  }
}

TEST_F(TextSourceTest, AFileWithAnEqualsSignInItsNameIsTakenAsItStands) {
  const std::string name = written("a=3", "words").string();
  auto source = parse_text_source(name);
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->file, name);
  EXPECT_FALSE(source->weight);
  EXPECT_EQ(parse_text_source(name + "=3")->file, name);
}

TEST_F(TextSourceTest, WrongWeightsAreRefused) {
  for (const char* text :
       {"a.txt=", "a.txt=0", "a.txt=-1", "a.txt=two", "a.txt=1x", "a.txt=inf", "a.txt=nan", "=1"}) {
    auto source = parse_text_source(text);
    ASSERT_FALSE(source.ok()) << text;
    EXPECT_NE(source.error().message.find("FILE=WEIGHT"), std::string::npos) << source.error().message;
  }
}

TEST_F(TextSourceTest, WhatIsNoTextIsRefusedByName) {
  for (const auto& [text, wanted] : {std::pair<std::string, const char*>{"", "empty"},
                                     {" \n\t\n", "empty"},
                                     {std::string("GGUF\0\0", 6), "zero byte at 4"},
                                     {"caf\xE9 au lait", "byte 3 is not UTF-8"}}) {
    const std::string message = refusal(text);
    EXPECT_NE(message.find("text.txt"), std::string::npos) << message;
    EXPECT_NE(message.find(wanted), std::string::npos) << message;
  }
}

TEST_F(TextSourceTest, AByteOrderMarkIsNoText) {
  EXPECT_EQ(*read_source_text(written("marked.txt", "\xEF\xBB\xBFwords é")), "words é");
}

}  // namespace
}  // namespace edgellm
