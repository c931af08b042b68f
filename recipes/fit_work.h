// The work folder of a fit: what is finished is found again by the same command after a kill, and by another
// budget.
//
//   WORK/<model hash>/drawn.jsonl                     text drawn from the model
//   WORK/<model hash>/<text hash>/importance.gguf     and block_influence.json, errors.json,
//   sensitivity.jsonl,
//                                 search.reference    reference logits of the search text; verify.reference
//                                 tensors/            encoded tensors
//                                 search-<key>.json   the state of one search
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

class FitWork {
 public:
  static Result<FitWork> open(const std::filesystem::path& root, const std::string& model_hash);
  // From now on folder() is that of this text.
  Status enter_text(const std::string& text_hash);

  std::filesystem::path model_folder() const { return model_folder_; }
  std::filesystem::path folder() const { return text_folder_; }
  std::filesystem::path file(const std::string& name) const { return text_folder_ / name; }
  // Removes the whole work folder.
  void remove();

 private:
  std::filesystem::path root_, model_folder_, text_folder_;
};

// Seconds spent in each stage, in the order in which they were begun.
class StageClock {
 public:
  void begin(const std::string& stage);
  void end();
  const std::vector<std::pair<std::string, double>>& stages() const { return stages_; }

 private:
  std::vector<std::pair<std::string, double>> stages_;
  double begun_ = -1;
};

}  // namespace edgellm
