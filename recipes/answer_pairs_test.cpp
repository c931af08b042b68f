#include "recipes/answer_pairs.h"

#include <gtest/gtest.h>

#include "core/base/output_file.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

class AnswerPairsTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / (std::string("edgellm-pairs-") + test->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path write(const char* name, std::string_view text) {
    EXPECT_TRUE(write_text_file(folder_ / name, text).ok());
    return folder_ / name;
  }
  static std::string error_of(const AnswerFiles& files) {
    auto read = read_answer_pairs(files);
    return read.ok() ? "no error" : read.error().message;
  }
  fs::path folder_;
};

TEST_F(AnswerPairsTest, TextFilesHaveOneTextALine) {
  auto read = read_answer_pairs({write("c.txt", "one\n\nthree\r\n"), write("r.txt", "a\nb\nc")});
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->candidates, (std::vector<std::string>{"one", "", "three"}));
  EXPECT_EQ(read->pairs()[2].reference, "c");
}

TEST_F(AnswerPairsTest, JsonLinesMayHoldBothSides) {
  fs::path file = write("a.jsonl", "{\"x\": \"two\\nlines\", \"y\": \"b\"}\n\n{\"x\": \"\", \"y\": \"c\"}\n");
  auto read = read_answer_pairs({file, file, "x", "y"});
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->candidates, (std::vector<std::string>{"two\nlines", ""}));
  EXPECT_EQ(read->references, (std::vector<std::string>{"b", "c"}));
}

TEST_F(AnswerPairsTest, BadRecordsAreNamedByFileAndLine) {
  fs::path good = write("good.txt", "a\nb\n");
  EXPECT_NE(error_of({good, write("r.txt", "a\n  \n")}).find("r.txt:2: the reference is empty"),
            std::string::npos);
  EXPECT_NE(error_of({good, write("r.txt", "a\n")}).find("good.txt has 2 texts"), std::string::npos);
  EXPECT_NE(error_of({good, write("r.txt", "")}).find("r.txt"), std::string::npos);
  EXPECT_NE(
      error_of({write("c.jsonl", "{\"candidate\": \"a\"}\n{\n"), good}).find("c.jsonl:2: this is no JSON"),
      std::string::npos);
  EXPECT_NE(
      error_of({write("c.jsonl", "\n{\"other\": 1}\n"), good}).find("c.jsonl:2: it has no key 'candidate'"),
      std::string::npos);
  EXPECT_NE(error_of({write("c.jsonl", "{\"candidate\": 1}\n"), good}).find("of type number"),
            std::string::npos);
}

}  // namespace
}  // namespace edgellm
