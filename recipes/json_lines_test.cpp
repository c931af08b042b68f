#include "recipes/json_lines.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/output_file.h"
#include "core/base/temporary_folder.h"

namespace edgellm {
namespace {

TEST(JsonLines, ALineThatIsTornTakesNoOtherWithIt) {
  auto folder = TemporaryFolder::create("lines");
  ASSERT_TRUE(folder.ok());
  const auto path = folder->path() / "log.jsonl";
  EXPECT_TRUE(read_json_lines(path).empty());
  ASSERT_TRUE(append_json_line(path, {{"a", 1}}).ok());
  ASSERT_TRUE(append_json_line(path, {{"b", 2}}).ok());
  std::string text = *read_text_file(path);
  ASSERT_TRUE(write_text_file(path, text.substr(0, text.size() - 3)).ok());
  ASSERT_TRUE(append_json_line(path, {{"c", 3}}).ok());
  ASSERT_TRUE(append_json_line(path, {{"d", 4}}).ok());
  const auto lines = read_json_lines(path);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["a"], 1);
  EXPECT_EQ(lines[1]["c"], 3);
  EXPECT_EQ(lines[2]["d"], 4);
}

TEST(JsonLines, AFileThatCannotBeWrittenIsAnError) {
  EXPECT_FALSE(append_json_line("/no such folder/log.jsonl", 1).ok());
}

}  // namespace
}  // namespace edgellm
