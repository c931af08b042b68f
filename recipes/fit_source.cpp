#include "recipes/fit_source.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <string>
#include <vector>

#include "core/base/content_hash.h"
#include "core/base/folder.h"
#include "recipes/convert.h"
#include "recipes/tensor_encoding.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

// Names, sizes and times of a folder's files: enough to see that one was replaced, without reading gigabytes.
Result<std::string> fingerprint(const fs::path& folder) {
  std::vector<std::string> lines;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    if (!entry.is_regular_file(code)) continue;
    lines.push_back(fmt::format("{} {} {}", entry.path().filename().string(), entry.file_size(code),
                                entry.last_write_time(code).time_since_epoch().count()));
  }
  if (code) return Error{fmt::format("cannot read {}: {}", folder.string(), code.message())};
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return hash_text(all).substr(0, 16);
}

}  // namespace

Result<fs::path> fit_source(const fs::path& model, const fs::path& work, size_t n_threads,
                            const Progress& progress) {
  std::error_code code;
  if (!fs::is_directory(model, code)) return model;
  EDGELLM_ASSIGN_OR_RETURN(std::string name, fingerprint(model));
  fs::path converted = work / fmt::format("converted-{}.gguf", name);
  if (fs::exists(converted, code)) return converted;
  EDGELLM_RETURN_IF_ERROR(make_folder(work));
  ConvertOptions options;
  options.n_threads = n_threads;
  options.progress = progress;
  auto report = convert_hf_to_gguf(model, converted, options);
  if (!report.ok()) {
    fs::remove(work, code);  // only when nothing else is in it
    return report.error();
  }
  return converted;
}

Result<FitSource> open_fit_source(const fs::path& path) {
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(path));
  FitSource source = {std::make_shared<GgufFile>(std::move(file))};
  const GgufTensor *output = source.file->find("output.weight"),
                   *embedding = source.file->find("token_embd.weight");
  source.is_output_left_out =
      output && embedding && output->type == embedding->type && output->dimensions == embedding->dimensions &&
      output->data.size() == embedding->data.size() &&
      std::memcmp(output->data.data(), embedding->data.data(), output->data.size()) == 0;
  if (source.is_output_left_out) {
    source.file->give_back(*output);
    source.file->give_back(*embedding);
    source.file->leave_out("output.weight");
  }
  return source;
}

Status check_weights(const GgufFile& source, ThreadPool& threads, const Progress& progress) {
  ProgressMeter meter(progress, "checking weights", double(source.n_file_bytes()));
  for (const GgufTensor& tensor : source.tensors()) {
    EDGELLM_RETURN_IF_ERROR(check_finite(tensor, threads));
    source.give_back(tensor);
    meter.add(double(tensor.data.size()));
  }
  meter.finish();
  return {};
}

}  // namespace edgellm
