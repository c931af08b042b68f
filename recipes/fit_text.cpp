#include "recipes/fit_text.h"

#include "recipes/drawn_text.h"

namespace edgellm {

Result<CalibrationText> fit_text(const FitModel& model, const Tokenizer& tokenizer, const FitEffort& effort,
                                 size_t fewest_windows, const std::filesystem::path& folder,
                                 ThreadPool& threads, const Progress& progress) {
  DrawnText wanted = {n_drawn_windows(effort, model.source->n_file_bytes()),
                      effort.n_window_tokens,
                      fewest_windows,
                      folder / (is_large(model) ? "drawn-in-q8_0.jsonl" : "drawn.jsonl"),
                      threads.n_threads(),
                      is_large(model)};
  CandidateStore plain(folder / kStandInFolder, *model.source, nullptr, threads);
  if (is_large(model))
    wanted.weights = [&](Decoder& decoder) -> Status {
      for (const auto& [name, type] : stand_in_plan(model.candidates).types) {
        EDGELLM_ASSIGN_OR_RETURN(auto data, plain.get(*model.source->find(name), type));
        EDGELLM_RETURN_IF_ERROR(decoder.replace_weight(name, type, data));
      }
      return {};
    };
  return draw_calibration_text(model.source, tokenizer, wanted, progress);
}

}  // namespace edgellm
