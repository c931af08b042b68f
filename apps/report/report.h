// The report over a folder of results: tables, and plots of the same figures.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "apps/report/reference_set.h"
#include "apps/report/table.h"
#include "results/result_record.h"

namespace edgellm {

struct Plot {
  std::string title, about, svg;
  std::string table;  // key of the table that holds its figures
};

struct Report {
  std::string summary;
  std::vector<Table> tables;
  std::vector<Plot> trade_offs, plans;
  std::vector<std::string> notes;  // what was left out
};

Report make_report(std::span<const ResultRecord> records, std::span<const ReferenceSet> references);

// One file that needs nothing else: no network, no other file. Everything is readable without its script.
std::string to_html(const Report& report);

}  // namespace edgellm
