#include "recipes/fit_rivals.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "recipes/stored_model.h"

namespace edgellm {
namespace {

// What is added to the name of a plan that was rounded with feedback, and trained.
constexpr const char* kCompensated = ", compensated";
constexpr const char* kTrained = ", trained";

}  // namespace

void FitRivals::add(JudgedPlan rival) {
  judged_.push_back(std::move(rival));
  std::ranges::stable_sort(judged_, {}, [](const JudgedPlan& plan) { return plan.judged.kl; });
}

Status FitRivals::judge(const MeasuredPlan& plan) {
  clock_.begin("verifying");
  CandidateStore& store = *input_.model.store;
  EDGELLM_ASSIGN_OR_RETURN(Judged judged, judge_plan(plan.plan, store));
  add({plan, judged, &store, store.folder()});
  return {};
}

Result<Judged> FitRivals::judge_plan(const QuantizationPlan& plan, CandidateStore& store) {
  return judge_once(input_.log, plan_hash(plan) + " " + store.folder().filename().string(), [&] {
    MeasuredModel measured(*input_.model.runtime, *input_.model.source, store);
    Status applied = measured.encode(plan, progress_);
    if (applied.ok()) applied = measured.apply(plan);
    auto judged = applied.ok() ? judge_model(*input_.model.runtime, input_.text, input_.reference, progress_)
                               : Result<Judged>(applied.error());
    measured.restore();
    store.give_back();
    return judged;
  });
}

// Norms may differ too, which only a file has.
Result<Judged> FitRivals::judge_as_file(const JudgedPlan& rival) {
  return judge_once(input_.log, rival.folder.filename().string(), [&]() -> Result<Judged> {
    const std::filesystem::path path = input_.model.folder / "judged.gguf";
    EDGELLM_RETURN_IF_ERROR(
        write_stored_model(*input_.model.source, rival.plan.plan, *rival.store, path, progress_));
    auto judged = judge_file(path, input_.run, input_.text, input_.reference, progress_);
    std::error_code code;
    std::filesystem::remove(path, code);
    return judged;
  });
}

Result<double> FitRivals::compensate(std::span<const std::vector<Token>> windows, size_t n_layer_epochs) {
  clock_.begin("rounding with feedback");
  JudgedPlan rival = judged_.front();
  CompensationOptions o;
  o.folder = input_.model.folder /
             fmt::format("compensated-2-{}-{}{}", plan_hash(rival.plan.plan).substr(0, 16), windows.size(),
                         n_layer_epochs ? fmt::format("-layers-{}", n_layer_epochs) : "");
  o.n_layer_epochs = n_layer_epochs;
  o.device = input_.torch_device;
  o.n_threads = input_.n_threads;
  EDGELLM_ASSIGN_OR_RETURN(compensation_,
                           compensate_tensors(input_.model.source, rival.plan.plan, windows, o, progress_));
  const double seconds = clock_.end();
  compensated_ =
      std::make_unique<CandidateStore>(o.folder, *input_.model.source, &input_.model.importance, threads_);
  rival.plan.name += kCompensated, rival.plan.is_preset = false;
  rival.store = compensated_.get();
  rival.folder = o.folder;
  rival.changed = compensation_->changed();
  for (const std::string& name : rival.changed) compensated_->use_changed(name);
  to_judge_ = std::move(rival);
  return seconds;
}

Status FitRivals::judge_compensated() {
  clock_.begin("verifying");
  JudgedPlan rival = *std::exchange(to_judge_, {});
  auto judged = rival.changed.empty() ? judge_plan(rival.plan.plan, *rival.store) : judge_as_file(rival);
  if (!judged.ok()) return judged.error();
  rival.judged = *judged;
  add(std::move(rival));
  return {};
}

Status FitRivals::train(std::span<const std::vector<Token>> windows, size_t n_epochs) {
  clock_.begin("training on the grid");
  JudgedPlan rival = judged_.front();
  GridTrainingOptions o;
  o.encoded = rival.folder;
  o.changed = rival.changed;
  o.original = input_.original;
  o.folder =
      input_.model.folder / fmt::format("trained-2-{}-{}-{}-of-{}", plan_hash(rival.plan.plan).substr(0, 16),
                                        windows.size(), n_epochs, rival.folder.filename().string());
  o.n_epochs = n_epochs;
  o.device = input_.torch_device;
  o.n_threads = input_.n_threads;
  EDGELLM_ASSIGN_OR_RETURN(training_,
                           train_tensors(input_.model.source, rival.plan.plan, windows, o, progress_));
  if (!training_->best_epoch) return {};
  trained_ =
      std::make_unique<CandidateStore>(o.folder, *input_.model.source, &input_.model.importance, threads_);
  rival.plan.name += kTrained, rival.plan.is_preset = false;
  rival.store = trained_.get();
  rival.folder = o.folder;
  rival.changed = training_->changed;
  for (const std::string& name : rival.changed) trained_->use_changed(name);
  clock_.begin("verifying");
  EDGELLM_ASSIGN_OR_RETURN(rival.judged, judge_as_file(rival));
  add(std::move(rival));
  return {};
}

}  // namespace edgellm
