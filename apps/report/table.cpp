#include "apps/report/table.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <set>

namespace edgellm {
namespace {

// The best of `rows` in one column, where they differ.
void mark_best_of(const Column& column, size_t c, const std::vector<Row*>& rows) {
  const Cell* best = nullptr;
  std::set<std::string> figures;  // as they are shown
  for (const Row* row : rows) {
    const Cell& cell = row->cells[c];
    if (!cell.value) continue;
    figures.insert(cell_text(column, cell));
    bool wins =
        !best || (column.better == Better::less ? *cell.value < *best->value : *cell.value > *best->value);
    if (wins) best = &cell;
  }
  if (figures.size() < 2) return;
  std::string shown = cell_text(column, *best);
  for (Row* row : rows)
    if (Cell& cell = row->cells[c]; cell.value && cell_text(column, cell) == shown) cell.best = true;
}

}  // namespace

Cell Cell::of_text(std::string text) {
  Cell cell;
  cell.text = std::move(text);
  return cell;
}

Cell Cell::of_value(double value, std::string detail) {
  Cell cell;
  if (std::isfinite(value)) cell.value = value;
  cell.detail = std::move(detail);
  return cell;
}

Cell Cell::absent(std::string why) {
  Cell cell;
  cell.why_absent = std::move(why);
  return cell;
}

void mark_best(Table& table) {
  for (size_t c = 0; c < table.columns.size(); ++c) {
    const Column& column = table.columns[c];
    if (column.better == Better::neither) continue;
    for (RowGroup& group : table.groups) {
      if (group.reference) continue;
      std::map<std::pair<std::string, std::string>, std::vector<Row*>> rivals;
      for (Row& row : group.rows) rivals[{row.scope, column.within_model ? row.model : ""}].push_back(&row);
      for (const auto& [scope, rows] : rivals) mark_best_of(column, c, rows);
    }
  }
}

std::string significant_text(double value, int digits) {
  if (value == 0) return "0";
  int before = int(std::floor(std::log10(std::abs(value)))) + 1;
  return fmt::format("{:.{}f}", value, std::clamp(digits - before, 0, 12));
}

std::string bytes_text(double n_bytes) {
  for (auto [unit, name] : {std::pair(1e9, "GB"), std::pair(1e6, "MB"), std::pair(1e3, "kB")})
    if (n_bytes >= unit) return fmt::format("{:.{}f} {}", n_bytes / unit, unit == 1e9 ? 2 : 1, name);
  return fmt::format("{:.0f} bytes", n_bytes);
}

std::string cell_text(const Column& column, const Cell& cell) {
  if (column.shown == Shown::text) return cell.text.empty() ? "–" : cell.text;
  if (!cell.value) return "–";
  switch (column.shown) {
    case Shown::bytes:
      return bytes_text(*cell.value);
    case Shown::significant:
      return significant_text(*cell.value, column.digits);
    case Shown::percent:
      return fmt::format("{:.{}f}%", 100 * *cell.value, column.digits);
    case Shown::fixed:
      return fmt::format("{:.{}f}", *cell.value, column.digits);
    default:
      return fmt::format("{:.0f}", *cell.value);
  }
}

std::vector<std::string> footnotes(const Table& table) {
  std::vector<std::string> notes;
  for (const RowGroup& group : table.groups)
    for (const Row& row : group.rows)
      for (const Cell& cell : row.cells)
        if (!cell.why_absent.empty() && std::find(notes.begin(), notes.end(), cell.why_absent) == notes.end())
          notes.push_back(cell.why_absent);
  return notes;
}

}  // namespace edgellm
