// What the style guide asks of every source file and a program can check.
#include <array>
#include <gtest/gtest.h>

#include "tests/architecture/source_tree.h"

namespace edgellm {
namespace {

constexpr size_t kMostLines = 600;

std::vector<SourceFile> all_sources() {
  return read_sources({"core", "runtime", "compress", "evaluate", "plan", "results", "recipes", "apps",
                       "tests", "benchmarks", "scripts"},
                      {".h", ".cpp", ".py", ".sh"});
}

// Names that say nothing of what is inside.
bool is_empty_name(std::string_view path) {
  const std::string name = std::filesystem::path(path).stem().string();
  constexpr std::array<std::string_view, 9> kWords = {"util",    "utils",  "utility", "utilities", "helper",
                                                      "helpers", "common", "misc",    "stuff"};
  size_t start = 0;
  while (start <= name.size()) {
    const size_t end = std::min(name.find_first_of("_.-", start), name.size());
    if (std::find(kWords.begin(), kWords.end(), std::string_view(name).substr(start, end - start)) !=
        kWords.end())
      return true;
    start = end + 1;
  }
  return false;
}

// The marks are put together here, so that this file does not hold them.
bool has_open_mark(std::string_view line) {
  return line.find(std::string("TO") + "DO") != line.npos ||
         line.find(std::string("FIX") + "ME") != line.npos;
}

TEST(Style, a_source_file_has_at_most_600_lines) {
  for (const SourceFile& source : all_sources()) EXPECT_LE(source.lines.size(), kMostLines) << source.path;
}

TEST(Style, a_source_file_is_named_for_what_is_in_it) {
  for (const SourceFile& source : all_sources()) EXPECT_FALSE(is_empty_name(source.path)) << source.path;
}

TEST(Style, work_left_open_stands_in_the_roadmap) {
  const auto roadmap = read_lines(source_root() / "docs" / "roadmap.md");
  for (const SourceFile& source : all_sources()) {
    const bool is_open = std::any_of(source.lines.begin(), source.lines.end(), has_open_mark);
    const bool is_planned = std::any_of(roadmap.begin(), roadmap.end(), [&](const auto& line) {
      return line.find(source.path) != line.npos;
    });
    EXPECT_TRUE(!is_open || is_planned)
        << source.path << " leaves work open that docs/roadmap.md does not name";
  }
}

TEST(StyleRules, catch_what_they_are_for) {
  EXPECT_TRUE(is_empty_name("core/base/utils.h"));
  EXPECT_TRUE(is_empty_name("runtime/kernels/dot_helpers.cpp"));
  EXPECT_TRUE(is_empty_name("tests/common.h"));
  EXPECT_FALSE(is_empty_name("core/base/metadata.h"));
  EXPECT_FALSE(is_empty_name("core/base/futile.h"));
  EXPECT_TRUE(has_open_mark(std::string("// TO") + "DO: later"));
  EXPECT_FALSE(has_open_mark("// to do"));
}

}  // namespace
}  // namespace edgellm
