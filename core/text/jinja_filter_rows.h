// The table of filters is kept in two files; this is what joins them.
#pragma once

#include <algorithm>
#include <span>

#include "core/text/jinja_library.h"

namespace edgellm::jinja {

struct FilterRow {
  std::string_view name;
  Builtin filter;
};

inline Builtin find_filter_row(std::span<const FilterRow> rows, std::string_view name) {
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&](const FilterRow& each) { return each.name == name; });
  return row == rows.end() ? nullptr : row->filter;
}

Builtin find_sequence_filter(std::string_view name);

}  // namespace edgellm::jinja
