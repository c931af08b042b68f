#include "recipes/fit_work.h"

#include <fmt/format.h>

#include "core/base/progress.h"

namespace edgellm {
namespace {

Status make_folder(const std::filesystem::path& folder) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) return Error{fmt::format("cannot make the work folder {}: {}", folder.string(), code.message())};
  return {};
}

}  // namespace

Result<FitWork> FitWork::open(const std::filesystem::path& root, const std::string& model_hash) {
  FitWork work;
  work.root_ = root;
  work.model_folder_ = root / model_hash.substr(0, 16);
  EDGELLM_RETURN_IF_ERROR(make_folder(work.model_folder_));
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

void StageClock::begin(const std::string& stage) {
  end();
  stages_.emplace_back(stage, 0.0);
  begun_ = monotonic_seconds();
}

void StageClock::end() {
  if (begun_ >= 0) stages_.back().second += monotonic_seconds() - begun_;
  begun_ = -1;
}

}  // namespace edgellm
