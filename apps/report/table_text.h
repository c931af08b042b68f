// Tables as Markdown and as CSV.
#pragma once

#include <span>
#include <string>

#include "apps/report/table.h"

namespace edgellm {

// GitHub's tables, each under a heading; the best of a column is bold. Plans tensor by tensor are left to the
// CSV.
std::string to_markdown(std::span<const Table> tables);

// One rectangular table of all: columns "table", "set" (of a reference set's rows), then every key that any
// table has, with full precision; "best" lists the keys of the columns a row is marked in. Absent is empty.
std::string to_csv(std::span<const Table> tables);

}  // namespace edgellm
