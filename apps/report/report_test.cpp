#include "apps/report/report.h"

#include <gtest/gtest.h>

namespace edgellm {
namespace {

using nlohmann::json;

ResultRecord record(const std::string& kind, const std::string& model, const std::string& method,
                    uint64_t n_bytes, json figures) {
  ResultRecord r;
  r.kind = kind;
  r.time = "2026-11-23T09:40:12Z";
  r.model.name = model;
  r.model.method = method;
  r.model.hash = model + method;
  r.model.n_bytes = n_bytes;
  r.data = RecordedData{"text.jsonl", "d", 8};
  r.settings = {{"sampling", "greedy"}};
  r.machine = {{"cpu", "a CPU"}};
  r.figures = std::move(figures);
  return r;
}

json run(const char* device, int threads, int length, double seconds) {
  return {{"device", device},
          {"threads", threads},
          {"prompt_tokens", 16},
          {"output_tokens", length},
          {"seconds_per_token", {{"median", seconds}, {"least", seconds}, {"most", seconds}}},
          {"energy", "absent: no sensor"}};
}

const Table* find(const Report& report, const std::string& key) {
  for (const Table& table : report.tables)
    if (table.key == key) return &table;
  return nullptr;
}

const Cell& cell(const Table& table, size_t row, const std::string& key) {
  for (size_t c = 0; c < table.columns.size(); ++c)
    if (table.columns[c].key == key) return table.groups[0].rows[row].cells[c];
  static const Cell kNone;
  ADD_FAILURE() << key;
  return kNone;
}

TEST(Report, sets_speeds_side_by_side_with_the_poster_beside_them) {
  std::vector<ResultRecord> records = {
      record("bench", "A", "Q8_0", 200, {{"runs", {run("cpu", 2, 256, 0.2), run("cpu", 2, 1024, 0.3)}}}),
      record("bench", "A", "Q4_0", 100, {{"runs", json::array({run("cpu", 2, 256, 0.1)})}})};
  Report report = make_report(records, std::vector{poster_reference_set()});
  const Table* table = find(report, "speed");
  ASSERT_TRUE(table);
  ASSERT_EQ(table->groups[0].rows.size(), 3u);
  EXPECT_FALSE(cell(*table, 0, "cpu_seconds_per_token").best);
  EXPECT_FALSE(cell(*table, 1, "cpu_seconds_per_token").best) << "alone with its output length";
  EXPECT_TRUE(cell(*table, 2, "cpu_seconds_per_token").best);
  EXPECT_FALSE(cell(*table, 0, "npu_seconds_per_token").value) << "only the poster has it";
  ASSERT_EQ(table->groups.size(), 2u);
  EXPECT_EQ(table->groups[1].heading, "source poster");
  EXPECT_EQ(table->groups[1].rows.size(), 2u);
}

TEST(Report, the_posters_figures_are_those_of_the_poster) {
  const auto& speed = poster_reference_set().speed;
  ASSERT_EQ(speed.size(), 2u);
  EXPECT_EQ(speed[0].seconds_per_token,
            (std::map<std::string, double>{{"cpu", 1.115}, {"gpu", 0.27}, {"npu", 0.2435}}));
  EXPECT_EQ(speed[1].seconds_per_token,
            (std::map<std::string, double>{{"cpu", 0.682}, {"gpu", 0.167}, {"npu", 0.168}}));
}

TEST(Report, never_puts_other_data_settings_or_encoders_into_one_column) {
  auto scored = [](const std::string& method, double f1, const std::string& encoder) {
    return record("eval", "A", method, 100, {{"bertscore", {{"f1", f1}, {"encoder", encoder}}}});
  };
  std::vector<ResultRecord> records = {scored("Q8_0", 0.9, "small"), scored("Q4_0", 0.8, "small"),
                                       scored("Q2_K", 0.99, "large")};
  ResultRecord other = scored("Q3_K_S", 0.95, "small");
  other.data->hash = "e";
  records.push_back(other);
  Report report = make_report(records, {});
  const Table *first = find(report, "accuracy"), *second = find(report, "accuracy-2"),
              *third = find(report, "accuracy-3");
  ASSERT_TRUE(first && second && third);
  EXPECT_EQ(first->groups[0].rows.size(), 2u);
  EXPECT_EQ(second->groups[0].rows.size(), 1u);
  EXPECT_EQ(third->groups[0].rows.size(), 1u);
  EXPECT_FALSE(cell(*first, 0, "bleurt").value) << "a column of the source's table, absent here";
}

TEST(Report, has_a_column_for_labels_by_likelihood_and_one_for_generated_ones) {
  auto news = [](double accuracy) { return json{{"accuracy", accuracy}, {"standard_error", 0.1}}; };
  Report report =
      make_report(std::vector{record("eval", "A", "x", 100,
                                     {{"ag_news", news(0.75)}, {"ag_news_generation", news(0.5)}})},
                  {});
  const Table* table = find(report, "accuracy");
  ASSERT_TRUE(table);
  EXPECT_EQ(cell(*table, 0, "ag_news").value, 0.75);
  EXPECT_EQ(cell(*table, 0, "ag_news_generation").value, 0.5);
}

TEST(Report, shows_scores_of_given_answers_without_a_size_and_leaves_them_out_of_the_plots) {
  std::vector<ResultRecord> records = {record("score", "A", "", 0, {{"rouge1", {{"f1", 0.5}}}}),
                                       record("score", "B", "Q4_0", 0, {{"rouge1", {{"f1", 0.25}}}})};
  Report report = make_report(records, {});
  const Table* table = find(report, "accuracy");
  ASSERT_TRUE(table);
  ASSERT_EQ(table->groups[0].rows.size(), 2u);
  EXPECT_FALSE(cell(*table, 0, "bytes").value);
  EXPECT_EQ(cell(*table, 0, "rouge1_f1").value, 0.5);
  EXPECT_TRUE(report.trade_offs.empty());
}

TEST(Report, plots_of_zeros_have_an_axis_that_can_be_read) {
  std::vector<ResultRecord> records;
  for (const char* method : {"x", "y"})
    records.push_back(record("eval", "A", method, 100, {{"gsm8k", {{"accuracy", 0.0}}}}));
  const Report report = make_report(records, {});
  ASSERT_EQ(report.trade_offs.size(), 1u);
  EXPECT_NE(report.trade_offs[0].svg.find(">5%<"), std::string::npos) << report.trade_offs[0].svg;
}

TEST(Report, takes_the_latest_of_a_repeated_measurement_and_names_fitted_models_so) {
  std::vector<ResultRecord> records;
  for (double p : {5.0, 4.0})
    records.push_back(record("eval", "A", "mostly Q4_K", 100, {{"perplexity", {{"perplexity", p}}}}));
  ResultRecord fit = record("fit", "A", "fit", 100, json::object());
  fit.model.hash = records[0].model.hash;
  records.push_back(fit);
  Report report = make_report(records, {});
  const Table* table = find(report, "accuracy");
  ASSERT_TRUE(table);
  ASSERT_EQ(table->groups[0].rows.size(), 1u);
  EXPECT_EQ(cell(*table, 0, "perplexity").value, 4.0);
  EXPECT_EQ(cell(*table, 0, "method").text, "fit");
}

TEST(Report, html_runs_no_text_of_a_record_and_asks_nothing_of_the_network) {
  std::vector<ResultRecord> records = {record("eval", "<script>alert(1)</script>", "\"><img src=x>", 100,
                                              {{"perplexity", {{"perplexity", 3.0}}}})};
  std::string html = to_html(make_report(records, std::vector{poster_reference_set()}));
  EXPECT_EQ(html.find("<script>alert"), std::string::npos);
  EXPECT_EQ(html.find("<img"), std::string::npos);
  EXPECT_EQ(html.find("http://"), std::string::npos);
  EXPECT_EQ(html.find("https://"), std::string::npos);
  EXPECT_NE(html.find("&lt;script&gt;alert(1)"), std::string::npos);
}

TEST(Report, figures_of_strange_types_are_absent) {
  std::vector<ResultRecord> records = {
      record("bench", "A", "x", 1, {{"runs", 3}}),
      record("bench", "A", "x", 1, {{"runs", {3, "a", nullptr}}}),
      record("eval", "A", "x", 1, {{"perplexity", "good"}, {"kl", {{"mean", nullptr}}}}),
      record("fit", "A", "x", 1, {{"plan", {{{"bits", 4}, {"layer", 1e30}, {"role", 7}}}}, {"rivals", 4}})};
  EXPECT_NE(to_html(make_report(records, std::vector{poster_reference_set()})), "");
}

TEST(Report, plots_take_any_number) {
  for (auto [a, b] :
       {std::pair(1e300, -1e300), std::pair(1e18, 1e18 + 512), std::pair(0.0, 1e-300), std::pair(3.0, 3.0)}) {
    std::vector<ResultRecord> records = {
        record("eval", "A", "x", 1, {{"bleurt", {{"score", a}}}}),
        record("eval", "A", "y", ~uint64_t{0}, {{"bleurt", {{"score", b}}}})};
    EXPECT_EQ(make_report(records, {}).trade_offs.size(), 1u);
  }
}

TEST(ReferenceSet, that_is_newer_or_broken_is_named) {
  for (const char* text :
       {"{", "[]", "{}", "{\"schema\": 1}", "{\"schema\": 1, \"name\": \"n\", \"speed\": [{}]}"}) {
    auto set = parse_reference_set(text, "mine.json");
    ASSERT_FALSE(set.ok()) << text;
    EXPECT_NE(set.error().message.find("mine.json"), std::string::npos);
  }
  auto newer = parse_reference_set("{\"schema\": 9}", "mine.json");
  ASSERT_FALSE(newer.ok());
  EXPECT_NE(newer.error().message.find("schema 9"), std::string::npos);
}

}  // namespace
}  // namespace edgellm
