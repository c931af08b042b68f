#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

#include "apps/cli/bench_print.h"
#include "apps/cli/command.h"
#include "apps/cli/commands.h"
#include "apps/cli/kv_option.h"
#include "apps/cli/results_options.h"
#include "core/base/build_description.h"
#include "core/base/machine.h"
#include "core/base/output_file.h"
#include "recipes/device_profile.h"
#include "runtime/kernels/kernels.h"

namespace edgellm {
namespace {

// The source's Table 1.
const std::vector<size_t> kTable1Lengths = {256, 1024, 1288};

struct Options {
  std::string model, kv = kAutoKv, json, profile;
  std::vector<std::string> devices;
  bool table1 = false;
  BenchOptions bench;
  ResultsOptions results;
};

Status check_devices(const std::vector<std::string>& devices) {
  for (const std::string& device : devices)
    if (device != "cpu")
      return Error{fmt::format("bench: --device {}: this build has no such device; it has cpu", device)};
  return {};
}

Status keep_bench_record(const GgufFile& file, const std::vector<BenchRun>& runs, uint64_t peak,
                         double seconds, const Options& o) {
  if (o.results.off) return {};
  EDGELLM_ASSIGN_OR_RETURN(ResultRecord record, begin_record(file, o.results));
  record.kind = "bench";
  record.settings = {{"kv", o.kv}, {"batch", o.bench.n_batch}};
  record.run = {{"repetitions", o.bench.n_runs}, {"seconds", seconds}};
  record.figures = {{"runs", bench_record_runs(runs, o.bench)}};
  if (peak) record.figures["peak_resident_bytes"] = peak;
  return keep_record(record, o.results);
}

// The speeds of this device alone.
Status bench_profile(const Options& o) {
  DeviceProfileOptions options;
  if (o.bench.n_threads.size() > 1) return Error{"bench: --profile is of one number of threads"};
  if (!o.bench.n_threads.empty()) options.n_threads = o.bench.n_threads.front();
  EDGELLM_ASSIGN_OR_RETURN(DeviceProfile profile, measure_device_profile(options, terminal_progress()));
  fmt::print("{}", device_profile_text(profile));
  return write_device_profile(profile, o.profile);
}

Status bench(Options o) {
  EDGELLM_RETURN_IF_ERROR(check_devices(o.devices));
  EDGELLM_RETURN_IF_ERROR(check_output(o.profile, {{o.model}}));
  if (!o.profile.empty()) EDGELLM_RETURN_IF_ERROR(bench_profile(o));
  if (o.model.empty()) return {};
  if (o.table1) o.bench.n_generate = kTable1Lengths;
  EDGELLM_RETURN_IF_ERROR(check_output(o.json, {{o.model}}));
  EDGELLM_ASSIGN_OR_RETURN(GgufFile opened, GgufFile::open(o.model));
  EDGELLM_ASSIGN_OR_RETURN(o.bench.kv_type, kv_type_for(opened.metadata(), o.kv));
  o.kv = to_string(o.bench.kv_type);
  EDGELLM_RETURN_IF_ERROR(check_results_folder(o.results));
  auto file = std::make_shared<const GgufFile>(std::move(opened));
  MachineDescription machine = describe_machine();
  BuildDescription build = describe_build();
  fmt::print("model    {}, {:.1f} MB\n{}build    {}, {}\nmedian of {} runs after a warm-up, KV cache {}\n",
             o.model, double(file->n_file_bytes()) / 1e6, to_string(machine), to_string(build),
             kernels().name, o.bench.n_runs, o.kv);
  std::fflush(stdout);
  double started = monotonic_seconds();
  EDGELLM_ASSIGN_OR_RETURN(std::vector<BenchRun> runs, bench_model(file, o.bench, terminal_progress()));
  double seconds = monotonic_seconds() - started;
  uint64_t peak = peak_resident_bytes(), counted = 0;
  for (const BenchRun& run : runs) {
    fmt::print("\n{}", bench_text(run, o.bench));
    counted = std::max(counted, run.memory.total());
  }
  fmt::print("\npeak resident memory {} (counted beforehand: {:.1f} MB)\n",
             peak ? fmt::format("{:.1f} MB", double(peak) / 1e6) : "not told by this kernel",
             double(counted) / 1e6);
  if (o.table1 || runs.front().generation.size() > 1)
    fmt::print("\n{}", bench_table(std::filesystem::path(o.model).filename(), file->n_file_bytes(), runs));
  if (!o.json.empty()) {
    nlohmann::json j = {{"schema", 1},
                        {"command", "bench"},
                        {"model", o.model},
                        {"model_bytes", file->n_file_bytes()},
                        {"machine", machine},
                        {"build", build},
                        {"kv", o.kv},
                        {"batch", o.bench.n_batch},
                        {"runs", o.bench.n_runs},
                        {"seconds", seconds},
                        {"results", nlohmann::json::array()},
                        {"peak_resident_bytes", peak}};
    j["machine"]["isa"] = kernels().name;
    for (const BenchRun& run : runs) j["results"].push_back(bench_json(run, o.bench));
    EDGELLM_RETURN_IF_ERROR(write_text_file(o.json, j.dump(2) + "\n"));
  }
  return keep_bench_record(*file, runs, peak, seconds, o);
}

}  // namespace

void add_bench(CLI::App& app, Status& status) {
  auto o = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("bench", "Measure seconds per token, latency, memory and energy of a model");
  auto* what = command->add_option_group("what");
  what->add_option("MODEL", o->model, "GGUF file");
  what->add_option(
      "--profile", o->profile,
      "measure how fast this device multiplies each block format, into this file, for 'edgellm fit "
      "--device-profile'; MODEL may be left out");
  what->require_option(1, 2);
  command->add_option("--prompt", o->bench.n_prompt, "tokens of the prompt")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  auto* generate = command->add_option("--generate", o->bench.n_generate, "output lengths, as 64,256,1024")
                       ->delimiter(',')
                       ->capture_default_str()
                       ->check(CLI::Range(1, 1 << 20));
  command->add_flag("--table1", o->table1, "output lengths 256, 1024 and 1288, and the table of them")
      ->excludes(generate);
  command
      ->add_option("--device", o->devices, "devices, as cpu (default: each that this build and machine have)")
      ->delimiter(',')
      ->check(CLI::IsMember({"cpu", "gpu", "npu"}));
  command->add_option("--threads", o->bench.n_threads, "numbers of threads, as 1,2 (default: all cores)")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  command
      ->add_option("--sequences", o->bench.n_sequences,
                   "also generate for so many prompts at once, as 1,16: tokens of all of them a second")
      ->delimiter(',')
      ->check(CLI::Range(1, 512));
  command->add_option("--runs", o->bench.n_runs, "runs after the warm-up")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--batch", o->bench.n_batch, "tokens of a prompt computed together")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 16));
  add_kv_option(*command, o->kv);
  command->add_option("--json", o->json, "also write the figures to this file");
  add_results_options(*command, o->results);
  command->footer(
      "Examples:\n"
      "  edgellm bench model.gguf\n"
      "  edgellm bench model.gguf --table1 --prompt 64 --results results\n"
      "  edgellm bench model.gguf --prompt 512 --generate 64,256 --threads 1,2 --runs 5 --json figures.json\n"
      "  edgellm bench model.gguf --prompt 32 --sequences 1,4,16\n"
      "  edgellm bench --profile board.json\n"
      "Seconds per token are of the output alone; the column \"with prompt\" is the whole time over the "
      "output's "
      "length.\nEnergy from RAPL usually needs root.");
  command->callback([o, &status] { status = bench(*o); });
}

}  // namespace edgellm
