#include "recipes/fit_work.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/base/folder.h"
#include "core/base/progress.h"
#include "core/base/write_failure.h"
#include "recipes/json_file.h"

namespace edgellm {

Result<FitWork> FitWork::open(const std::filesystem::path& root, const std::string& model_hash) {
  const std::filesystem::path folder = root / model_hash.substr(0, 16);
  EDGELLM_RETURN_IF_ERROR(make_folder(folder));
  EDGELLM_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::take(folder));
  FitWork work(std::move(lock));
  work.root_ = root;
  work.model_folder_ = folder;
  return work;
}

Status FitWork::enter_text(const std::string& text_hash) {
  text_folder_ = model_folder_ / text_hash.substr(0, 16);
  return make_folder(text_folder_ / "tensors");
}

void FitWork::remove() {
  std::error_code code;
  std::filesystem::remove_all(root_, code);
}

Error with_work_named(const Error& error, const std::filesystem::path& root) {
  std::error_code code;
  if (!is_of_full_disk(error) || !std::filesystem::exists(root, code)) return error;
  return {fmt::format("{}, it goes on from {}", error.message, root.string())};
}

double& StageClock::seconds_of(const std::string& stage) {
  auto found = std::find_if(stages_.begin(), stages_.end(), [&](const auto& s) { return s.first == stage; });
  if (found != stages_.end()) return found->second;
  return stages_.emplace_back(stage, 0.0).second;
}

void StageClock::count() {
  double now = monotonic_seconds();
  if (!running_.empty()) seconds_of(running_) += now - counted_until_;
  counted_until_ = now;
}

void StageClock::keep_in(const std::filesystem::path& path) {
  path_ = path;
  auto earlier = read_json<std::vector<std::pair<std::string, double>>>(path);
  if (!earlier) return;
  for (const auto& [stage, seconds] : *earlier) seconds_of(stage) += seconds;
}

void StageClock::begin(const std::string& stage) {
  end();
  running_ = stage;
  seconds_of(stage);
}

double StageClock::end() {
  count();
  const double seconds = running_.empty() ? 0 : seconds_of(running_);
  running_.clear();
  saved_at_ = -1e9;
  save();
  return seconds;
}

double StageClock::total() {
  count();
  double sum = 0;
  for (const auto& [stage, seconds] : stages_) sum += seconds;
  return sum;
}

void StageClock::save() {
  count();
  if (path_.empty() || counted_until_ < saved_at_ + 2) return;
  saved_at_ = counted_until_;
  (void)write_text_file(path_, nlohmann::json(stages_).dump());
}

}  // namespace edgellm
