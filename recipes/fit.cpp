#include "recipes/fit.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/base/content_hash.h"
#include "core/base/machine.h"
#include "core/base/output_file.h"
#include "recipes/calibration_text.h"
#include "recipes/device_profile.h"
#include "recipes/fit_budget.h"
#include "recipes/fit_model.h"
#include "recipes/fit_pace.h"
#include "recipes/fit_reference.h"
#include "recipes/fit_report.h"
#include "recipes/fit_rivals.h"
#include "recipes/fit_source.h"
#include "recipes/fit_text.h"
#include "recipes/fit_work.h"
#include "recipes/generation_check.h"
#include "recipes/json_file.h"
#include "recipes/judged.h"
#include "recipes/kv_choice.h"
#include "recipes/measured_run.h"
#include "recipes/plan_log.h"
#include "recipes/plan_search.h"
#include "recipes/shape_search.h"
#include "recipes/stored_model.h"

namespace edgellm {
namespace {

constexpr size_t kFewestWindows = 12;
constexpr size_t kJudgedPlans = 2;
constexpr size_t kFirstScoredRow =
    16;  // the first predictions of a window know too little to tell models apart
// Version of what the work folder holds; raise it when a stage gives other results than before.
constexpr const char* kWorkVersion = "6";

std::filesystem::path work_root(const FitOptions& options) {
  return options.work.empty() ? options.output.string() + ".work" : options.work.string();
}

// The stages of one fit, in the order of run().
class FitRun {
 public:
  FitRun(const FitOptions& options, const Progress& progress)
      : options_(options),
        effort_(options.effort),
        progress_([this, &progress](const ProgressReport& report) {
          clock_.save();
          if (progress) progress(report);
        }),
        threads_(options.n_threads) {}

  Result<nlohmann::json> run() {
    EDGELLM_RETURN_IF_ERROR(open_model());
    EDGELLM_RETURN_IF_ERROR(set_budget());
    EDGELLM_RETURN_IF_ERROR(load_original());
    EDGELLM_RETURN_IF_ERROR(prepare_text());
    EDGELLM_RETURN_IF_ERROR(record_reference());
    EDGELLM_RETURN_IF_ERROR(collect_importance());
    EDGELLM_RETURN_IF_ERROR(predict_costs());
    EDGELLM_RETURN_IF_ERROR(choose_kv());
    EDGELLM_RETURN_IF_ERROR(choose_shape());
    EDGELLM_RETURN_IF_ERROR(search());
    EDGELLM_RETURN_IF_ERROR(choose_and_write());
    EDGELLM_RETURN_IF_ERROR(measure_runs());
    clock_.end();
    nlohmann::json report = fit_report(options_, original(), *model_, findings());
    EDGELLM_RETURN_IF_ERROR(write_text_file(report_path(), report.dump(2) + "\n"));
    std::error_code code;
    std::filesystem::remove(stages_path_, code);
    for (const auto& path : settled_) std::filesystem::remove(path, code);
    if (!options_.keep_work && options_.work.empty()) work_->remove();
    return report;
  }

 private:
  std::filesystem::path report_path() const { return options_.output.string() + ".json"; }

  Status open_model() {
    clock_.begin("opening");
    // Fails now, not after half an hour, when the output cannot be written.
    for (const auto& output : {options_.output, report_path()})
      EDGELLM_RETURN_IF_ERROR(check_output(output, files_of(options_.calibrate)));
    if (!options_.device_profile.empty()) {
      EDGELLM_RETURN_IF_ERROR(check_is_no_input(options_.output, {{options_.device_profile}}));
      EDGELLM_RETURN_IF_ERROR(check_is_no_input(report_path(), {{options_.device_profile}}));
      EDGELLM_ASSIGN_OR_RETURN(profile_, read_device_profile(options_.device_profile));
    }
    EDGELLM_ASSIGN_OR_RETURN(model_file_,
                             fit_source(options_.model, work_root(options_), options_.n_threads, progress_));
    EDGELLM_ASSIGN_OR_RETURN(FitSource opened, open_fit_source(model_file_));
    model_->source = std::move(opened.file);
    is_output_left_out_ = opened.is_output_left_out;
    for (const auto& output : {options_.output, report_path()})
      EDGELLM_RETURN_IF_ERROR(check_is_no_input(output, model_->source->paths()));
    EDGELLM_ASSIGN_OR_RETURN(model_->hyperparameters, read_hyperparameters(model_->source->metadata()));
    EDGELLM_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::from_metadata(model_->source->metadata()));
    tokenizer_ = std::make_unique<Tokenizer>(std::move(tokenizer));
    EDGELLM_ASSIGN_OR_RETURN(model_->candidates, list_candidates(*model_->source, Codebooks::none));
    // What a time is enough for is settled by that time.
    if (!options_.seconds) effort_ = effort_for_size(effort_, model_->source->n_file_bytes());
    EDGELLM_RETURN_IF_ERROR(check_weights(*model_->source, threads_, progress_));
    EDGELLM_ASSIGN_OR_RETURN(model_hash_, hash_files(model_->source->paths()));
    return {};
  }

  Status set_budget() {
    budget_.emplace(options_, *model_->source, model_->hyperparameters, threads_.n_threads());
    kv_type_ = options_.kv_type.value_or(KvType::f16);
    EDGELLM_RETURN_IF_ERROR(budget_->check_kv());
    weight_bytes_ = budget_->weight_bytes(kv_type_);
    const KvType kv = budget_->smallest_kv();
    EDGELLM_RETURN_IF_ERROR(allow_codebooks(kv));
    EDGELLM_ASSIGN_OR_RETURN(uint64_t smallest, smallest_budget(*model_->source, model_->candidates,
                                                                options_.drop_layers, budget_->lookup(), kv));
    if (smallest <= budget_->weight_bytes(kv)) return {};
    return budget_->too_small(smallest, kv);
  }

  // Where accuracy alone counts: if the effort has the time for them, or if without them nothing fits or
  // layers would have to be left out.
  Status allow_codebooks(KvType kv) {
    if (is_timed()) return {};
    EDGELLM_ASSIGN_OR_RETURN(uint64_t smallest, smallest_budget(*model_->source, model_->candidates, false,
                                                                budget_->lookup(), kv));
    has_codebooks_ = effort_.codebooks || smallest > budget_->weight_bytes(kv);
    if (!has_codebooks_) return {};
    EDGELLM_ASSIGN_OR_RETURN(model_->candidates, list_candidates(*model_->source, Codebooks::all));
    return {};
  }

  Status prepare_text() {
    const FitEffort& e = effort_;
    if (!options_.calibrate.empty()) {
      EDGELLM_ASSIGN_OR_RETURN(text_, read_calibration_text(options_.calibrate, *model_->source, *tokenizer_,
                                                            e.n_window_tokens, kFewestWindows));
    }
    EDGELLM_ASSIGN_OR_RETURN(FitWork work,
                             FitWork::open(work_root(options_), hash_text(model_hash_ + kWorkVersion)));
    work_ = std::make_unique<FitWork>(std::move(work));
    EDGELLM_RETURN_IF_ERROR(measure_device());
    EDGELLM_RETURN_IF_ERROR(measure_pace());
    stages_path_ = work_->model_folder() / fmt::format("stages-{}-{}.json", pace_ ? time_key() : search_key(),
                                                       text_.hash.substr(0, 8));
    clock_.keep_in(stages_path_);
    if (options_.calibrate.empty()) {
      clock_.begin("drawing text");
      EDGELLM_ASSIGN_OR_RETURN(text_, fit_text(*model_, *tokenizer_, e, kFewestWindows, work_->model_folder(),
                                               threads_, progress_));
    }
    parts_ = text_parts(text_, e.n_verify_windows, e.n_search_windows, kFirstScoredRow);
    EDGELLM_RETURN_IF_ERROR(work_->enter_text(
        hash_text(text_.hash + nlohmann::json{e.n_importance_windows, e.n_error_rows}.dump())));
    model_->folder = work_->folder();
    return {};
  }

  bool is_timed() const { return options_.goal != FitGoal::accuracy || options_.most_seconds_per_token; }

  // Once for a work folder: a resumed search must go by the same speeds.
  Status measure_device() {
    if (!is_timed() || profile_) return {};
    clock_.begin("measuring this device");
    EDGELLM_ASSIGN_OR_RETURN(profile_, kept_device_profile(work_->model_folder() / "device-profile.json",
                                                           threads_.n_threads(), progress_));
    return {};
  }

  // What was settled once is not settled anew, so that a stopped fit goes on to the same file.
  Status settle(const char* when, const std::function<FitSteps()>& settled) {
    const auto path = work_->model_folder() / fmt::format("{}-{}.json", when, time_key());
    settled_.push_back(path);
    auto known = read_json<std::pair<size_t, size_t>>(path);
    if (!known) {
      const FitSteps steps = settled();
      known.emplace(steps.n_compensation_windows, steps.n_training_epochs);
      EDGELLM_RETURN_IF_ERROR(write_text_file(path, nlohmann::json(*known).dump()));
    }
    effort_.n_compensation_windows = known->first, effort_.n_training_epochs = known->second;
    effort_.n_layer_epochs = known->second ? kFitLayerEpochs : 0;
    return {};
  }

  // Drawn text is not known yet when the first thing is settled.
  std::string time_key() const {
    return fmt::format("{}-{}-{}-{}", search_key(), *options_.seconds, options_.torch_device,
                       options_.calibrate.empty() ? "drawn" : text_.hash.substr(0, 8));
  }

  // How fast this machine is with this model, and what a fit has time for by that.
  Status measure_pace() {
    if (!options_.seconds) return {};
    clock_.begin("measuring this machine");
    pace_.emplace();
    EDGELLM_ASSIGN_OR_RETURN(pace_->seconds_per_window,
                             time_window(*model_->runtime, effort_.n_window_tokens));
    return settle("steps", [this] {
      return steps_within(*options_.seconds - clock_.total() - pace_->fast(), *pace_, n_compress_windows());
    });
  }

  // Of the text there is, those that nothing is judged by; without limit where text is still to be drawn.
  size_t n_compress_windows() const {
    const size_t n = text_.windows.size();
    return n ? n - std::min(effort_.n_verify_windows, n / 4) : SIZE_MAX;
  }

  double seconds_left() { return *options_.seconds - clock_.total() - pace_->closing(); }

  RuntimeModelOptions model_options() const {
    RuntimeModelOptions o;
    o.n_context = o.n_batch = effort_.n_window_tokens;
    o.n_threads = threads_.n_threads();
    o.n_logit_rows = 64;
    o.kv_type = kv_type_;
    o.gives_back_weights = is_large(*model_);
    return o;
  }

  Status load_original() {
    RuntimeModelOptions o = model_options();
    o.kv_type = KvType::f16;
    EDGELLM_ASSIGN_OR_RETURN(model_->runtime, RuntimeLanguageModel::load(model_->source, o));
    return {};
  }

  Status record_reference() {
    clock_.begin("reference logits");
    auto reference = [&](const TextWindows& text, const char* name) {
      return fit_reference(*model_->runtime, text, model_hash_, work_->folder(), name, progress_);
    };
    EDGELLM_ASSIGN_OR_RETURN(search_reference_, reference(parts_.search, "search"));
    EDGELLM_ASSIGN_OR_RETURN(verify_reference_, reference(parts_.verify, "verify"));
    original_.perplexity = verify_reference_.perplexity;
    // From here on the stand-in is read, not the original.
    for (const GgufTensor& tensor : model_->source->tensors()) model_->source->give_back(tensor);
    return {};
  }

  Status collect_importance() {
    clock_.begin("importance");
    const auto windows = std::span(text_.windows).subspan(parts_.n_verify);
    return learn_importance(*model_, windows.first(std::min(effort_.n_importance_windows, windows.size())),
                            text_.source_names(), threads_, progress_);
  }

  Status predict_costs() {
    model_->measure(threads_);
    clock_.begin("rounding errors");
    EDGELLM_RETURN_IF_ERROR(measure_errors(*model_->source, model_->importance, effort_.n_error_rows,
                                           work_->file("errors.json"), threads_, progress_,
                                           model_->candidates));
    clock_.begin("sensitivity");
    TextWindows text = windows_of(text_, parts_.n_verify,
                                  std::min(effort_.n_sensitivity_windows, parts_.n_search), kFirstScoredRow);
    for (auto& window : text.windows) window.resize(std::min(window.size(), effort_.n_sensitivity_tokens));
    return measure_sensitivity(*model_->measured, text, *search_reference_.logits,
                               work_->file("sensitivity.jsonl"), progress_, model_->candidates);
  }

  double most_harm() const { return options_.goal == FitGoal::speed ? kSpeedHarm : kBalancedHarm; }

  // What decides a search besides model and text.
  std::string search_key() const {
    std::string key = fmt::format("{}-{}-{}-{}-{}-{}", weight_bytes_, budget_->most_lookup_bytes(),
                                  options_.drop_layers ? "drop" : "keep", effort_.n_generations,
                                  effort_.n_offspring, types_key(original().candidates));
    if (kv_type_ != KvType::f16) key += fmt::format("-{}", to_string(kv_type_));
    if (!is_timed()) return key;
    std::string goal = fmt::format("{} {}", most_harm(), options_.most_seconds_per_token.value_or(0));
    return key + "-" + hash_text(goal + profile_json(*profile_)["types"].dump()).substr(0, 8);
  }

  // From here on plans are measured with the cache that they are made for.
  Status choose_kv() {
    if (budget_->leaves_kv_open()) {
      clock_.begin("choosing the KV cache");
      RuntimeModelOptions with_q8_0 = model_options();
      with_q8_0.kv_type = KvType::q8_0;
      const auto name = fmt::format("kl-of-q8_0-{}-{}.json", parts_.n_verify, parts_.little.windows.size());
      auto measure_kl = [&] {
        return measure_cache_kl(*model_->measured, model_->source, with_q8_0, model_->candidates,
                                *model_->store, parts_.little, *search_reference_.logits, work_->file(name));
      };
      EDGELLM_ASSIGN_OR_RETURN(
          kv_choice_, choose_kv_type(search_input(), budget_->weight_bytes(KvType::q8_0), measure_kl));
      kv_type_ = kv_choice_->type;
      weight_bytes_ = budget_->weight_bytes(kv_type_);
    }
    if (kv_type_ == KvType::f16) return {};
    return model_->measure_with(model_options(), threads_);
  }

  // What the plan is better off without, if the whole model's plan and the presets turn out to be worse once
  // all of them are encoded and measured.
  Status choose_shape() {
    if (!options_.drop_layers) return {};
    EDGELLM_ASSIGN_OR_RETURN(const std::optional<double> harm, least_predicted_harm(search_input()));
    if (harm && *harm < effort_.least_harm_to_leave_out) return {};
    clock_.begin("choosing what to leave out");
    const auto path = work_->file(fmt::format("shape-{}.json", search_key()));
    if (auto known = read_json<nlohmann::json>(path))
      if (auto shape = shape_from_json(*known, model_->hyperparameters)) {
        left_out_ = std::move(*known);
        return shape->is_whole() ? Status() : take_shape(*shape);
      }
    const PlanSearchInput whole = search_input();
    ShapeSearchInput input;
    input.plan = &whole;
    input.importance = &model_->importance;
    input.n_window_tokens = effort_.n_sensitivity_tokens;
    // What a part does depends on text and cache.
    input.log = work_->file(fmt::format("parts-{}-{}-{}.jsonl", to_string(kv_type_), parts_.n_verify,
                                        parts_.little.windows.size()));
    input.folder = work_->file("parts");
    std::optional<double> of_whole, of_shaped;
    do {
      EDGELLM_ASSIGN_OR_RETURN(const FoundShape found,
                               search_shape(*model_->measured, input, threads_, progress_));
      if (found.shape.is_whole()) break;
      EDGELLM_ASSIGN_OR_RETURN(of_whole, kl_before_search(*model_->measured, whole, progress_));
      EDGELLM_RETURN_IF_ERROR(take_shape(found.shape));
      EDGELLM_ASSIGN_OR_RETURN(of_shaped, kl_before_search(*model_->measured, search_input(), progress_));
      if (of_shaped && (!of_whole || *of_shaped < *of_whole)) break;
      leave_shape();
      // How large a file of uneven layers will be is not known to the byte beforehand.
      input.whole_layers_only = !input.whole_layers_only;
    } while (!of_shaped && !of_whole && input.whole_layers_only);
    left_out_ = to_json(model_->shape);
    if (of_shaped) left_out_["search_kl"] = *of_shaped;
    if (of_whole) left_out_["search_kl_of_whole"] = *of_whole;
    return write_text_file(path, left_out_.dump());
  }

  Status take_shape(const ModelShape& shape) {
    EDGELLM_ASSIGN_OR_RETURN(
        auto shaped, shaped_fit_model(*model_, shape, has_codebooks_ ? Codebooks::all : Codebooks::none,
                                      model_options(), threads_, progress_));
    whole_ = std::exchange(model_, std::move(shaped));
    set_weight_bytes();
    return {};
  }

  void leave_shape() {
    model_ = std::move(whole_);
    set_weight_bytes();
  }

  void set_weight_bytes() {
    // A share of the file's size is one of the original's.
    if (!options_.memory_bytes) return;
    budget_.emplace(options_, *model_->source, model_->hyperparameters, threads_.n_threads());
    weight_bytes_ = budget_->weight_bytes(kv_type_);
  }

  PlanSearchInput search_input() const {
    PlanSearchInput input;
    input.source = model_->source.get();
    input.candidates = &model_->candidates;
    input.block_influence = model_->block_influence;
    input.budget = weight_bytes_;
    input.lookup = budget_->lookup();
    input.kv_type = kv_type_;
    if (is_timed()) input.speed = {&*profile_, options_.most_seconds_per_token, most_harm()};
    input.little_text = parts_.little;
    input.all_text = parts_.search;
    input.reference = search_reference_.logits.get();
    input.evolution.n_generations = effort_.n_generations;
    input.evolution.n_offspring = effort_.n_offspring;
    input.evolution.patience = effort_.patience;
    input.n_presets = effort_.n_presets;
    input.checkpoint = model_->folder / fmt::format("search-{}.json", search_key());
    input.log = measured_plans(*model_);
    return input;
  }

  // Of all fits in this folder, with this text and cache.
  std::vector<ParetoPlan> pareto() const {
    std::vector<LoggedPlan> whole = PlanLog(measured_plans(original())).plans(), plans = whole;
    if (whole_) std::ranges::copy(PlanLog(measured_plans(*model_)).plans(), std::back_inserter(plans));
    std::vector<ParetoPlan> front;
    for (LoggedPlan& plan : pareto_plans(plans)) {
      const bool is_of_whole = std::ranges::find(whole, plan) != whole.end();
      front.push_back({std::move(plan), !is_of_whole});
    }
    return front;
  }

  std::filesystem::path measured_plans(const FitModel& model) const {
    return model.folder /
           fmt::format("measured-{}-{}-{}.jsonl", to_string(kv_type_), parts_.n_verify, parts_.n_search);
  }

  Status search() {
    clock_.begin("search");
    // The originals are not needed while plans are measured.
    if (is_large(original())) (whole_ ? *whole_ : *model_).forget_stand_in();
    if (whole_) whole_->measured.reset(), whole_->runtime.reset();
    for (const GgufTensor& tensor : model_->source->tensors()) model_->source->give_back(tensor);
    EDGELLM_ASSIGN_OR_RETURN(searched_, search_plan(*model_->measured, search_input(), progress_));
    return {};
  }

  // The searched plan and its best rival are judged on text that nothing was chosen by, the better of them
  // also when it is rounded with feedback and when it is trained; the best that still talks is written.
  Status choose_and_write() {
    model_->measured->restore();
    rivals_.emplace(
        FitRivalsInput{
            *model_, original().source, parts_.verify, *verify_reference_.logits, model_options(),
            model_->folder / fmt::format("judged-{}-{}.jsonl", to_string(kv_type_), parts_.n_verify),
            options_.torch_device, options_.n_threads},
        threads_, clock_, progress_);
    for (const MeasuredPlan& plan : plans_to_judge(searched_.tried, kJudgedPlans))
      EDGELLM_RETURN_IF_ERROR(rivals_->judge(plan));
    if (pace_)
      EDGELLM_RETURN_IF_ERROR(
          settle("searched", [this] { return steps_within(seconds_left(), *pace_, n_compress_windows()); }));
    if (effort_.n_compensation_windows) EDGELLM_RETURN_IF_ERROR(compensate());
    if (effort_.n_training_epochs)
      EDGELLM_RETURN_IF_ERROR(rivals_->train(compress_windows(), effort_.n_training_epochs));
    return write_best();
  }

  // Of the rivals the best that still talks; the best of all where none does.
  Status write_best() {
    std::optional<GenerationCheck> of_best;
    for (const JudgedPlan& rival : rivals_->judged()) {
      EDGELLM_RETURN_IF_ERROR(write(rival));
      clock_.begin("checking generation");
      EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(options_.output));
      auto result = std::make_shared<GgufFile>(std::move(file));
      EDGELLM_ASSIGN_OR_RETURN(std::shared_ptr<Decoder> decoder,
                               Decoder::load(result, {.n_threads = threads_.n_threads()}));
      EDGELLM_ASSIGN_OR_RETURN(generation_, check_generation(decoder, *tokenizer_, kv_type_, progress_));
      if (!generation_.collapsed()) return {};
      collapsed_plans_.push_back(rival.plan.name);
      if (!of_best) of_best = generation_;
    }
    generation_ = *of_best;
    return collapsed_plans_.size() > 1 ? write(rivals_->judged().front()) : Status();
  }

  Status write(const JudgedPlan& rival) {
    clock_.begin("writing");
    chosen_ = &rival;
    return write_stored_model(*model_->source, rival.plan.plan, *rival.store, options_.output, progress_);
  }

  Status compensate() {
    const uint64_t n_training_bytes = layer_training_bytes(model_->most_layer_weights());
    const Result<uint64_t> memory = describe_machine().n_memory_bytes;
    if (effort_.n_layer_epochs && memory.ok() && n_training_bytes > *memory / 2)
      effort_.n_layer_epochs = 0, n_layer_training_bytes_ = n_training_bytes;
    const auto windows =
        windows_before_training(compress_windows(), effort_.n_layer_epochs, effort_.n_training_epochs);
    EDGELLM_ASSIGN_OR_RETURN(const double seconds, rivals_->compensate(windows, effort_.n_layer_epochs));
    n_compensated_windows_ = rivals_->compensation()->n_tokens / effort_.n_window_tokens;
    EDGELLM_RETURN_IF_ERROR(settle_epochs(windows.size(), seconds));
    return rivals_->judge_compensated();
  }

  // By the seconds that feedback on n_windows really took.
  Status settle_epochs(size_t n_windows, double seconds) {
    if (!pace_) return {};
    // Unless an earlier fit had left this work: then it says nothing of this machine.
    const double share = seconds / pace_->compensation(n_windows, effort_.n_layer_epochs > 0);
    if (share > 0.02) pace_->torch_factor = share;
    const FitSteps steps = {compress_windows().size(), effort_.n_training_epochs};
    return settle("compensated", [&] {
      return FitSteps{effort_.n_compensation_windows, epochs_within(seconds_left(), *pace_, steps)};
    });
  }

  // Of the text that nothing is judged by.
  std::span<const std::vector<Token>> compress_windows() const {
    auto windows = std::span(text_.windows).subspan(parts_.n_verify);
    return windows.first(std::min(windows.size(), effort_.n_compensation_windows));
  }

  Status measure_runs() {
    clock_.begin("measuring runs");
    MeasuredRunOptions o = {options_.program, kv_type_, options_.n_threads};
    o.fill(options_.n_context);
    ProgressMeter meter(progress_, "measuring runs", 2);
    EDGELLM_ASSIGN_OR_RETURN(run_after_, measure_run(options_.output, o));
    meter.add(1);
    o.kv_type = options_.kv_type.value_or(KvType::f16);
    EDGELLM_ASSIGN_OR_RETURN(run_before_, measure_run_in_memory(model_file_, o));
    meter.finish();
    return {};
  }

  const FitModel& original() const { return whole_ ? *whole_ : *model_; }

  FitFindings findings() const {
    FitFindings f;
    f.model_hash = model_hash_;
    f.budget = weight_bytes_;
    f.kv_type = kv_type_;
    f.kv_choice = kv_choice_;
    if (whole_) f.left_out = &left_out_;
    f.is_output_left_out = is_output_left_out_;
    f.text = &text_;
    f.n_search = parts_.n_search, f.n_verify = parts_.n_verify;
    f.before = fit_side(options_, original(), original().source->n_file_bytes(), {},
                        options_.kv_type.value_or(KvType::f16), run_before_, original_);
    f.after = fit_side(options_, *model_, chosen_->plan.n_file_bytes, chosen_->plan.plan, kv_type_,
                       run_after_, chosen_->judged);
    f.chosen = &chosen_->plan;
    f.searched = &searched_;
    f.pareto = pareto();
    for (const JudgedPlan& rival : rivals_->judged())
      f.verified.push_back({rival.plan.name, rival.judged, rival.plan.is_preset});
    f.compensation = rivals_->compensation();
    f.n_layer_training_bytes = n_layer_training_bytes_;
    f.training = rivals_->training();
    f.generation = &generation_;
    f.collapsed_plans = collapsed_plans_;
    if (profile_) f.profile = &*profile_;
    if (is_timed()) f.most_seconds = searched_.most_seconds;
    if (options_.goal != FitGoal::accuracy) f.most_harm = most_harm();
    if (pace_) f.steps = {n_compensated_windows_, effort_.n_training_epochs};
    f.stages = clock_.stages();
    return f;
  }

  const FitOptions& options_;
  FitEffort effort_;
  std::optional<FitPace> pace_;  // where a time was asked for
  StageClock clock_;
  Progress progress_;
  ThreadPool threads_;
  std::filesystem::path model_file_, stages_path_;
  std::vector<std::filesystem::path> settled_;  // files of settle()
  bool is_output_left_out_ = false, has_codebooks_ = false;
  std::string model_hash_;
  std::unique_ptr<FitModel> model_ = std::make_unique<FitModel>();  // that is planned for
  std::unique_ptr<FitModel> whole_;                                 // where that leaves something out
  nlohmann::json left_out_;                                         // that, and the KLs that decided it
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<FitBudget> budget_;
  KvType kv_type_ = KvType::f16;
  std::optional<KvChoice> kv_choice_;
  uint64_t weight_bytes_ = 0;  // of the budget, for counted_bytes()
  std::unique_ptr<FitWork> work_;
  std::optional<DeviceProfile> profile_;
  CalibrationText text_;
  TextParts parts_;
  size_t n_compensated_windows_ = 0;
  uint64_t n_layer_training_bytes_ = 0;  // that the machine lacks
  FitReference search_reference_, verify_reference_;
  Judged original_;
  PlanSearchResult searched_;
  std::optional<FitRivals> rivals_;
  const JudgedPlan* chosen_ = nullptr;  // of them
  GenerationCheck generation_;
  std::vector<std::string> collapsed_plans_;  // those written that did not talk, the best first
  std::optional<MeasuredRun> run_before_, run_after_;
};

}  // namespace

Result<nlohmann::json> fit(const FitOptions& options, const Progress& progress) {
  auto report = FitRun(options, progress).run();
  return report.ok() ? std::move(report) : with_work_named(report.error(), work_root(options));
}

}  // namespace edgellm
