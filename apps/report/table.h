// A table of a report, before it is HTML, Markdown or CSV.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace edgellm {

enum class Better { neither, less, more };

enum class Shown {
  text,
  count,
  bytes,        // 98.4 MB
  fixed,        // with `digits` after the point
  significant,  // with `digits` digits
  percent,      // of a share between 0 and 1, with `digits` after the point
};

struct Column {
  std::string key;    // of the CSV
  std::string title;  // of the rest
  Shown shown = Shown::text;
  Better better = Better::neither;
  int digits = 0;
  // The figure compares sizes of one model only: another model has another vocabulary, or another original.
  bool within_model = false;
};

struct Cell {
  std::string text;             // of Shown::text
  std::optional<double> value;  // of the rest; absent is shown as a dash
  std::string detail;           // beside the figure: its spread or error
  std::string why_absent;       // a footnote; empty: simply not measured
  bool best = false;

  static Cell of_text(std::string text);
  static Cell of_value(double value, std::string detail = {});
  static Cell absent(std::string why = {});
};

struct Row {
  std::vector<Cell> cells;  // [columns]
  std::string model;        // what Column::within_model goes by
  std::string scope;        // rows of one scope are compared with each other
};

struct RowGroup {
  std::string heading;     // empty: none
  bool reference = false;  // somebody else's figures: nothing in it is marked
  std::vector<Row> rows;
};

struct Table {
  std::string key;  // of the CSV, and of links into the page
  std::string title;
  std::string about;  // what makes its figures comparable: data, settings, machine
  std::vector<std::string> notes;
  std::vector<Column> columns;
  std::vector<RowGroup> groups;
};

// Marks in every column the best of the rows of one scope (and model), and what is shown as the same figure.
// A figure without a rival, or the same in every row, is not marked.
void mark_best(Table& table);

// As people read it; a dash when absent.
std::string cell_text(const Column& column, const Cell& cell);
// Fixed notation, `digits` significant ones: "0.05120", "1288".
std::string significant_text(double value, int digits);
std::string bytes_text(double n_bytes);

// The reasons why cells are absent, each once, in the order of the table: footnotes count from 1.
std::vector<std::string> footnotes(const Table& table);

}  // namespace edgellm
