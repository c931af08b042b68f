#include "evaluate/tasks/task_data.h"

#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>

#include "core/base/temporary_folder.h"

namespace edgellm {
namespace {

constexpr size_t kAll = SIZE_MAX;

// A file that is gone at the end of the test.
class DataFile {
 public:
  explicit DataFile(std::string_view text) { std::ofstream(path_, std::ios::binary) << text; }
  const std::filesystem::path& path() const { return path_; }

 private:
  TemporaryFolder folder_ = *TemporaryFolder::create("data");
  std::filesystem::path path_ = folder_ / "records";
};

using Rows = std::vector<std::pair<size_t, nlohmann::json>>;

Rows csv_rows(std::string_view text) {
  const DataFile file(text);
  Rows rows;
  const auto report = read_csv(file.path(), kAll, [&](const nlohmann::json& row, size_t line) -> Status {
    rows.emplace_back(line, row);
    return {};
  });
  EXPECT_TRUE(report.ok()) << report.error().message;
  return rows;
}

Result<TaskDataReport> read_lines(std::string_view text, size_t n_most = kAll) {
  const DataFile file(text);
  return read_json_lines(file.path(), n_most, [](const nlohmann::json& record, size_t) -> Status {
    if (!record.contains("a")) return Error{"wanted 'a', got no such key"};
    return {};
  });
}

std::string good_lines(size_t n_lines) {
  std::string text;
  for (size_t i = 0; i < n_lines; ++i) text += "{\"a\": 1}\n";
  return text;
}

TEST(JsonLines, are_read_with_blank_lines_byte_order_mark_and_any_line_end) {
  const auto report = read_lines("\xEF\xBB\xBF{\"a\": 1}\r\n\r\n  \n{\"a\": 2}\n{\"a\": 3}");
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->n_records, 3u);
  EXPECT_TRUE(report->broken.empty());
}

TEST(JsonLines, stop_at_the_most_that_is_wanted) {
  EXPECT_EQ(read_lines(good_lines(10) + "broken", 10)->n_records, 10u);
  EXPECT_TRUE(read_lines(good_lines(10) + "broken", 10)->broken.empty());
}

TEST(JsonLines, name_file_and_line_of_a_broken_record_and_go_on) {
  const auto report = read_lines(good_lines(60) + "{\"a\": \n" + good_lines(60));
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->n_records, 120u);
  ASSERT_EQ(report->broken.size(), 1u);
  EXPECT_NE(report->broken[0].find(":61: wanted a JSON object on one line, got '{\"a\": '"),
            std::string::npos)
      << report->broken[0];
}

TEST(JsonLines, stop_when_more_than_one_in_a_hundred_is_broken) {
  EXPECT_TRUE(read_lines(good_lines(99) + "{}\n").ok());
  const auto report = read_lines(good_lines(98) + "{}\n");
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.error().message.find("1 of the first 99 records are broken"), std::string::npos);
  EXPECT_NE(report.error().message.find(":99: wanted 'a'"), std::string::npos) << report.error().message;
  EXPECT_EQ(report.error().message.find('\n'), std::string::npos);
}

TEST(JsonLines, of_another_kind_of_file_are_an_error_of_one_line) {
  for (const std::string& text : {std::string("[1, 2]\n"), std::string("plain text\nof two lines\n"),
                                  std::string("\0\1\2\xff", 4), std::string("{\"a\": \"\xff\"}\n")}) {
    const auto report = read_lines(text);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().message.find('\n'), std::string::npos);
  }
  std::string many;
  for (size_t i = 0; i < 5000; ++i) many += "text\n";
  EXPECT_NE(read_lines(many).error().message.find("101 of the first 101"), std::string::npos);
}

TEST(JsonLines, of_an_empty_or_missing_file_or_a_folder_are_an_error) {
  EXPECT_NE(read_lines("").error().message.find("no records"), std::string::npos);
  const auto take = [](const nlohmann::json&, size_t) { return Status(); };
  EXPECT_NE(read_json_lines("/nonexistent/data", kAll, take).error().message.find("No such file"),
            std::string::npos);
  EXPECT_NE(read_json_lines("/", kAll, take).error().message.find("folder"), std::string::npos);
}

TEST(Csv, reads_plain_and_quoted_fields) {
  EXPECT_EQ(csv_rows("1,two,3\r\n\"a,b\",\"say \"\"hi\"\"\",\"\"\n,,\n"),
            (Rows{{1, {"1", "two", "3"}}, {2, {"a,b", "say \"hi\"", ""}}, {3, {"", "", ""}}}));
}

TEST(Csv, reads_fields_over_several_lines) {
  EXPECT_EQ(csv_rows("\"a\n\nb\",c\nd,\"e\"\n"), (Rows{{1, {"a\n\nb", "c"}}, {4, {"d", "e"}}}));
}

TEST(Csv, names_broken_rows_by_their_first_line) {
  std::string text;
  for (size_t i = 0; i < 400; ++i) text += "1,2\n";
  const DataFile file(text + "a\"b,2\n\"a\"b,2\n\"\xff\",1\n\"never closed\n");
  const auto report = read_csv(file.path(), kAll, [](const nlohmann::json&, size_t) { return Status(); });
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_EQ(report->broken.size(), 4u);
  EXPECT_NE(report->broken[0].find(":401: wanted quotes around the whole field"), std::string::npos);
  EXPECT_NE(report->broken[1].find(":402: wanted a comma"), std::string::npos);
  EXPECT_NE(report->broken[2].find(":403: wanted UTF-8"), std::string::npos);
  EXPECT_NE(report->broken[3].find(":404: wanted a closing quote"), std::string::npos);
}

}  // namespace
}  // namespace edgellm
