// The plans that a fit judges on text that nothing was chosen by: the best that its search found, and what
// rounding with feedback and training make of the best of them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "recipes/compress/compensated_tensors.h"
#include "recipes/compress/trained_tensors.h"
#include "recipes/fit_model.h"
#include "recipes/fit_work.h"
#include "recipes/judged.h"
#include "recipes/plan_search.h"

namespace edgellm {

struct JudgedPlan {
  MeasuredPlan plan;
  Judged judged;
  CandidateStore* store = nullptr;  // that has its tensors, in `folder`
  std::filesystem::path folder;
  std::vector<std::string> changed = {};  // tensors there that differ from the source's in its own type
};

// What they are judged by, and where. All references must outlive the rivals.
struct FitRivalsInput {
  const FitModel& model;  // that is planned for; its runtime computes the original
  std::shared_ptr<const GgufFile> original;
  const TextWindows& text;
  const ReferenceLogits& reference;
  RuntimeModelOptions run;
  std::filesystem::path log;  // of what was judged, so that nothing is judged twice
  std::string torch_device;
  size_t n_threads = 0;
};

class FitRivals {
 public:
  FitRivals(const FitRivalsInput& input, ThreadPool& threads, StageClock& clock, const Progress& progress)
      : input_(input), threads_(threads), clock_(clock), progress_(progress) {}

  // Rounded to nearest.
  Status judge(const MeasuredPlan& plan);
  // The types of the best one with the rounding errors fed back over the windows, and each layer then trained
  // so many times over them. Gives the seconds it took; judge_compensated() then makes a rival of it.
  Result<double> compensate(std::span<const std::vector<Token>> windows, size_t n_layer_epochs);
  Status judge_compensated();
  // The best one with what its grids store trained towards the original, as a further rival where it helped.
  Status train(std::span<const std::vector<Token>> windows, size_t n_epochs);

  // The best first.
  const std::vector<JudgedPlan>& judged() const { return judged_; }
  // Null where there was no such stage.
  const Compensation* compensation() const { return compensation_ ? &*compensation_ : nullptr; }
  const GridTraining* training() const { return training_ ? &*training_ : nullptr; }

 private:
  Result<Judged> judge_plan(const QuantizationPlan& plan, CandidateStore& store);
  Result<Judged> judge_as_file(const JudgedPlan& rival);
  void add(JudgedPlan rival);

  FitRivalsInput input_;
  ThreadPool& threads_;
  StageClock& clock_;
  const Progress& progress_;
  std::vector<JudgedPlan> judged_;
  std::optional<JudgedPlan> to_judge_;  // what compensate() made
  std::unique_ptr<CandidateStore> compensated_, trained_;
  std::optional<Compensation> compensation_;
  std::optional<GridTraining> training_;
};

}  // namespace edgellm
