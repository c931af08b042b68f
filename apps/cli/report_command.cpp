#include <fmt/format.h>
#include <memory>

#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/report/report.h"
#include "apps/report/table_text.h"
#include "core/base/output_file.h"
#include "results/results_folder.h"

namespace edgellm {
namespace {

struct Options {
  std::string folder, html, csv, markdown;
  std::vector<std::string> references;
  bool no_poster = false;
};

Status report(const Options& o) {
  std::filesystem::path folder =
      o.folder.empty() ? default_results_folder() : std::filesystem::path(o.folder);
  std::vector<std::filesystem::path> inputs(o.references.begin(), o.references.end());
  for (const std::string& output : {o.html, o.csv, o.markdown})
    EDGELLM_RETURN_IF_ERROR(check_output(output, inputs));
  EDGELLM_ASSIGN_OR_RETURN(std::vector<ResultRecord> records, read_records(folder));
  std::vector<ReferenceSet> references;
  if (!o.no_poster) references.push_back(poster_reference_set());
  for (const std::string& path : o.references) {
    EDGELLM_ASSIGN_OR_RETURN(ReferenceSet set, read_reference_set(path));
    references.push_back(std::move(set));
  }
  Report made = make_report(records, references);
  for (const auto& [path, text] : {std::pair(o.html, o.html.empty() ? "" : to_html(made)),
                                   std::pair(o.csv, o.csv.empty() ? "" : to_csv(made.tables)),
                                   std::pair(o.markdown, o.markdown.empty() ? "" : to_markdown(made.tables))})
    if (!path.empty()) {
      EDGELLM_RETURN_IF_ERROR(write_text_file(path, text));
      fmt::print("{}: {} records\n", path, records.size());
    }
  return {};
}

}  // namespace

void add_report(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("report", "Set kept results side by side: tables and plots");
  command->add_option("RESULTS", o->folder,
                      "folder of result records (default: where eval, score, bench and fit keep theirs)");
  auto* outputs = command->add_option_group("outputs", "what is written, at least one");
  outputs->add_option("-o,--output", o->html, "HTML page, one file that needs no network");
  outputs->add_option("--csv", o->csv, "the tables as CSV");
  outputs->add_option("--markdown", o->markdown, "the tables as Markdown");
  outputs->require_option(1, 3);
  command->add_option("--reference", o->references,
                      "more published figures to show beside (JSON); may be repeated");
  command->add_flag("--no-poster", o->no_poster, "leave out the source poster's figures");
  command->footer(
      "Examples:\n"
      "  edgellm report -o report.html\n"
      "  edgellm report results/ -o report.html --csv report.csv --markdown report.md");
  command->callback([o, &status] { status = report(*o); });
}

}  // namespace edgellm
