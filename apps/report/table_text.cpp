#include "apps/report/table_text.h"

#include <algorithm>
#include <fmt/format.h>

#include "apps/report/escape.h"

namespace edgellm {
namespace {

std::string markdown_cell(const Column& column, const Cell& cell, const std::vector<std::string>& notes) {
  std::string text = markdown_escape(cell_text(column, cell));
  if (cell.best) text = "**" + text + "**";
  if (!cell.detail.empty()) text += " (" + markdown_escape(cell.detail) + ")";
  if (!cell.why_absent.empty())
    text += fmt::format(" ({})", std::find(notes.begin(), notes.end(), cell.why_absent) - notes.begin() + 1);
  return text;
}

void add_markdown(const Table& table, std::string& out) {
  out += fmt::format("### {}\n\n", markdown_escape(table.title));
  if (!table.about.empty()) out += markdown_escape(table.about) + "\n\n";
  std::vector<std::string> notes = footnotes(table);
  std::string rule = "|";
  out += "|";
  for (const Column& column : table.columns) {
    out += fmt::format(" {} |", markdown_escape(column.title));
    rule += column.shown == Shown::text ? "---|" : "--:|";
  }
  out += "\n" + rule + "\n";
  for (const RowGroup& group : table.groups)
    for (const Row& row : group.rows) {
      out += "|";
      for (size_t c = 0; c < table.columns.size(); ++c) {
        std::string text = markdown_cell(table.columns[c], row.cells[c], notes);
        if (c == 0 && group.reference) text += " (" + markdown_escape(group.heading) + ")";
        out += " " + text + " |";
      }
      out += "\n";
    }
  out += "\n– is not measured, or not told. Bold is the best of its column.\n";
  for (size_t i = 0; i < notes.size(); ++i)
    out += fmt::format("({}) {}.\n", i + 1, markdown_escape(notes[i]));
  for (const std::string& note : table.notes) out += "\n- " + markdown_escape(note);
  out += "\n\n";
}

}  // namespace

std::string to_markdown(std::span<const Table> tables) {
  std::string out;
  for (const Table& table : tables)
    if (!table.key.starts_with("plan-")) add_markdown(table, out);
  return out;
}

std::string to_csv(std::span<const Table> tables) {
  std::vector<std::string> keys;
  for (const Table& table : tables)
    for (const Column& column : table.columns)
      if (std::find(keys.begin(), keys.end(), column.key) == keys.end()) keys.push_back(column.key);
  std::string out = "table,set";
  for (const std::string& key : keys) out += "," + key;
  out += ",best\r\n";
  for (const Table& table : tables)
    for (const RowGroup& group : table.groups)
      for (const Row& row : group.rows) {
        std::vector<std::string> fields(keys.size());
        std::string best;
        for (size_t c = 0; c < table.columns.size(); ++c) {
          const Column& column = table.columns[c];
          const Cell& cell = row.cells[c];
          std::string& field = fields[size_t(std::find(keys.begin(), keys.end(), column.key) - keys.begin())];
          if (column.shown == Shown::text)
            field = csv_escape(cell.text);
          else if (cell.value)
            field = fmt::format("{}", *cell.value);
          if (cell.best) best += (best.empty() ? "" : " ") + column.key;
        }
        out += csv_escape(table.key) + "," + csv_escape(group.reference ? group.heading : "");
        for (const std::string& field : fields) out += "," + field;
        out += "," + csv_escape(best) + "\r\n";
      }
  return out;
}

}  // namespace edgellm
