#include <algorithm>
#include <fmt/format.h>

#include "apps/report/embedded.h"
#include "apps/report/escape.h"
#include "apps/report/report.h"

namespace edgellm {
namespace {

constexpr size_t kMostOpenRows = 200;  // longer tables are folded

std::string cell_html(const Column& column, const Cell& cell, const std::vector<std::string>& notes) {
  std::string text = html_escape(cell_text(column, cell));
  if (cell.best) text = fmt::format("<strong class=best>{}<span class=hidden> (best)</span></strong>", text);
  if (!cell.detail.empty()) text += fmt::format("<small>{}</small>", html_escape(cell.detail));
  if (!cell.why_absent.empty())
    text += fmt::format("<sup>{}</sup>",
                        std::find(notes.begin(), notes.end(), cell.why_absent) - notes.begin() + 1);
  return text;
}

void add_row(const Table& table, const Row& row, const std::vector<std::string>& notes, std::string& out) {
  out += "<tr>";
  for (size_t c = 0; c < table.columns.size(); ++c) {
    const Column& column = table.columns[c];
    const Cell& cell = row.cells[c];
    bool is_text = column.shown == Shown::text;
    std::string value = is_text ? html_escape(cell.text) : cell.value ? fmt::format("{}", *cell.value) : "";
    out +=
        fmt::format("<{}{} data-value=\"{}\">{}</{}>", c == 0 ? "th scope=row" : "td",
                    is_text ? "" : " class=n", value, cell_html(column, cell, notes), c == 0 ? "th" : "td");
  }
  out += "</tr>\n";
}

void add_table(const Table& table, std::string& out) {
  std::vector<std::string> notes = footnotes(table);
  size_t n_rows = 0;
  for (const RowGroup& group : table.groups) n_rows += group.rows.size();
  bool folded = n_rows > kMostOpenRows || table.key.starts_with("plan-");
  std::string title = html_escape(table.title);
  out += fmt::format("<section id=\"{0}\"><h3>{1}</h3>\n", html_escape(table.key), title);
  if (!table.about.empty()) out += fmt::format("<p>{}</p>\n", html_escape(table.about));
  if (folded) out += fmt::format("<details><summary>{} rows</summary>\n", n_rows);
  out += fmt::format("<div class=scroll tabindex=0 role=region aria-label=\"{}\"><table><thead><tr>", title);
  for (const Column& column : table.columns)
    out += fmt::format("<th scope=col{}><button type=button>{}</button></th>",
                       column.shown == Shown::text ? "" : " class=n", html_escape(column.title));
  out += "</tr></thead>\n";
  for (const RowGroup& group : table.groups) {
    out += group.reference ? "<tbody class=reference>\n" : "<tbody>\n";
    if (!group.heading.empty())
      out += fmt::format("<tr class=heading><th colspan={} scope=rowgroup>{}</th></tr>\n",
                         table.columns.size(), html_escape(group.heading));
    for (const Row& row : group.rows) add_row(table, row, notes, out);
    out += "</tbody>\n";
  }
  out += "</table></div>\n";
  if (folded) out += "</details>\n";
  out += "<ul class=notes><li>– is not measured, or not told.</li>";
  for (size_t i = 0; i < notes.size(); ++i)
    out += fmt::format("<li><sup>{}</sup> {}.</li>", i + 1, html_escape(notes[i]));
  for (const std::string& note : table.notes) out += fmt::format("<li>{}</li>", html_escape(note));
  out += "</ul></section>\n";
}

void add_plots(const char* id, const char* title, const std::vector<Plot>& plots, std::string& out) {
  if (plots.empty()) return;
  out += fmt::format(
      "<section id={}><h2>{}</h2><p class=help>Points can be reached with Tab and the arrow keys.</p>"
      "<div class=plots>\n",
      id, title);
  for (const Plot& plot : plots)
    out += fmt::format(
        "<figure><figcaption><b>{}</b></figcaption><div class=drawing>{}</div><p class=said "
        "aria-live=polite></p><p>{} <a href=\"#{}\">The figures</a></p></figure>\n",
        html_escape(plot.title), plot.svg, html_escape(plot.about), html_escape(plot.table));
  out += "</div></section>\n";
}

}  // namespace

std::string to_html(const Report& report) {
  std::string out =
      "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n"
      "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src "
      "'unsafe-inline'\">\n<title>edgellm report</title>\n<style>";
  out += embedded::kPageStyle;
  out +=
      "</style></head><body><a class=skip href=\"#main\">Skip to the tables</a>\n<header><h1>edgellm "
      "report</h1><p>";
  out += html_escape(report.summary) + "</p><nav aria-label=Contents>";
  if (!report.trade_offs.empty()) out += "<a href=\"#trade-offs\">Trade-offs</a> ";
  for (const Table& table : report.tables)
    if (!table.key.starts_with("plan-"))
      out += fmt::format("<a href=\"#{}\">{}</a> ", html_escape(table.key), html_escape(table.title));
  if (!report.plans.empty()) out += "<a href=\"#plans\">Plans of fits</a>";
  out += "</nav></header><main id=main>\n<h2>Tables</h2>\n";
  for (const Table& table : report.tables)
    if (!table.key.starts_with("plan-")) add_table(table, out);
  add_plots("trade-offs", "Trade-offs", report.trade_offs, out);
  add_plots("plans", "Plans of fits", report.plans, out);
  for (const std::string& note : report.notes) out += "<p>" + html_escape(note) + "</p>\n";
  for (const Table& table : report.tables)
    if (table.key.starts_with("plan-")) add_table(table, out);
  out += "</main><script>";
  out += embedded::kPageScript;
  return out + "</script></body></html>\n";
}

}  // namespace edgellm
