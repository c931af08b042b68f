#include "apps/report/table.h"

#include <gtest/gtest.h>

#include "apps/report/escape.h"
#include "apps/report/table_text.h"

namespace edgellm {
namespace {

Row row(const std::string& model, std::optional<double> value, const std::string& scope = "") {
  Row r;
  r.model = model;
  r.scope = scope;
  r.cells = {Cell::of_text(model), value ? Cell::of_value(*value) : Cell::absent("no sensor")};
  return r;
}

Table table_of(Column column, std::vector<Row> rows) {
  Table table;
  table.key = "t";
  table.title = "T";
  table.columns = {{"model", "model"}, std::move(column)};
  table.groups.push_back({"", false, std::move(rows)});
  mark_best(table);
  return table;
}

std::vector<bool> marked(const Table& table) {
  std::vector<bool> marks;
  for (const Row& r : table.groups[0].rows) marks.push_back(r.cells[1].best);
  return marks;
}

const Column kLess = {"kl", "KL", Shown::fixed, Better::less, 2};
const Column kMore = {"f1", "F1", Shown::fixed, Better::more, 2};

TEST(Table, marks_the_best_of_a_column_by_its_direction) {
  EXPECT_EQ(marked(table_of(kLess, {row("a", 2), row("b", 1), row("c", {})})), (std::vector<bool>{0, 1, 0}));
  EXPECT_EQ(marked(table_of(kMore, {row("a", 2), row("b", 1), row("c", {})})), (std::vector<bool>{1, 0, 0}));
}

TEST(Table, marks_all_that_are_shown_as_the_same_figure) {
  EXPECT_EQ(marked(table_of(kMore, {row("a", 0.501), row("b", 0.504), row("c", 0.4)})),
            (std::vector<bool>{1, 1, 0}));
}

TEST(Table, marks_nothing_where_all_figures_are_shown_as_the_same) {
  EXPECT_EQ(marked(table_of(kMore, {row("a", 0.501), row("b", 0.504)})), (std::vector<bool>{0, 0}));
}

TEST(Table, marks_nothing_without_a_rival_nor_anything_of_a_reference_set) {
  EXPECT_EQ(marked(table_of(kMore, {row("a", 1), row("b", {})})), (std::vector<bool>{0, 0}));
  Table table = table_of(kMore, {row("a", 1), row("b", 2)});
  table.groups[0].reference = true;
  for (Row& r : table.groups[0].rows) r.cells[1].best = false;
  mark_best(table);
  EXPECT_EQ(marked(table), (std::vector<bool>{0, 0}));
}

TEST(Table, compares_within_scope_and_where_the_figure_asks_for_it_within_the_model) {
  EXPECT_EQ(marked(table_of(
                kLess, {row("a", 1, "256"), row("b", 2, "256"), row("a", 3, "1024"), row("b", 2.5, "1024")})),
            (std::vector<bool>{1, 0, 0, 1}));
  Column within = kLess;
  within.within_model = true;
  EXPECT_EQ(marked(table_of(within, {row("a", 1), row("a", 2), row("b", 5), row("b", 4)})),
            (std::vector<bool>{1, 0, 0, 1}));
}

TEST(Table, shows_figures_as_people_read_them) {
  EXPECT_EQ(significant_text(0.0512, 4), "0.05120");
  EXPECT_EQ(significant_text(1288, 3), "1288");
  EXPECT_EQ(bytes_text(98.4e6), "98.4 MB");
  EXPECT_EQ(cell_text(kMore, Cell::absent()), "–");
  EXPECT_EQ(cell_text({"a", "a", Shown::percent, Better::more, 1}, Cell::of_value(0.915)), "91.5%");
}

TEST(TableText, is_this_markdown) {
  EXPECT_EQ(
      to_markdown(std::vector{table_of(kLess, {row("a|b", 2), row("<c>", 1), row("d", {})})}),
      "### T\n\n| model | KL |\n|---|--:|\n| a\\|b | 2.00 |\n| &lt;c&gt; | **1.00** |\n| d | – (1) |\n\n– is "
      "not measured, or not told. Bold is the best of its column.\n(1) no sensor.\n\n\n");
}

TEST(TableText, is_this_csv) {
  EXPECT_EQ(to_csv(std::vector{table_of(kLess, {row("=SUM(A1)", 2), row("say \"x\"", 1), row("d", {})})}),
            "table,set,model,kl,best\r\n\"t\",\"\",\"'=SUM(A1)\",2,\"\"\r\n\"t\",\"\",\"say "
            "\"\"x\"\"\",1,\"kl\"\r\n\"t\",\"\",\"d\",,\"\"\r\n");
}

TEST(Escape, leaves_no_markup) {
  EXPECT_EQ(html_escape("<a href='x' b=\"y\">&\n"), "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp; ");
}

}  // namespace
}  // namespace edgellm
