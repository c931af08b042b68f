// The work folder of a fit: what is finished is found again by the same command after a kill, and by another
// budget.
//
//   WORK/converted-<hash>.gguf                        of a model that came as a folder
//   WORK/<model hash>/drawn.jsonl                     text drawn from the model
//   WORK/<model hash>/stages-<key>.json               seconds a fit that is not finished spent in each stage
//   WORK/<model hash>/<text hash>/                    of one text; docs/formats.md lists the files
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/base/folder_lock.h"
#include "core/base/result.h"

namespace edgellm {

class FitWork {
 public:
  // Error when another process is at work for this model there.
  static Result<FitWork> open(const std::filesystem::path& root, const std::string& model_hash);
  // From now on folder() is that of this text.
  Status enter_text(const std::string& text_hash);

  std::filesystem::path model_folder() const { return model_folder_; }
  std::filesystem::path folder() const { return text_folder_; }
  std::filesystem::path file(const std::string& name) const { return text_folder_ / name; }
  // Removes the whole work folder.
  void remove();

 private:
  explicit FitWork(FolderLock lock) : lock_(std::move(lock)) {}

  std::filesystem::path root_, model_folder_, text_folder_;
  FolderLock lock_;
};

// What a full disk has stopped goes on from a work folder that is there: then the Error says so.
Error with_work_named(const Error& error, const std::filesystem::path& root);

// Seconds spent in each stage, in the order in which they were begun.
class StageClock {
 public:
  // Adds what the same command spent before it was stopped, and keeps the sums in this file from now on.
  void keep_in(const std::filesystem::path& path);
  void begin(const std::string& stage);
  // Ends the stage in work; gives all the seconds spent in it.
  double end();
  double total();  // seconds of all stages
  // Writes the sums, at most every two seconds, so that a kill loses no more. Failures are left to the work
  // itself, which writes beside it.
  void save();
  const std::vector<std::pair<std::string, double>>& stages() const { return stages_; }

 private:
  double& seconds_of(const std::string& stage);
  void count();

  std::filesystem::path path_;
  std::vector<std::pair<std::string, double>> stages_;
  std::string running_;
  double counted_until_ = 0, saved_at_ = -1e9;
};

}  // namespace edgellm
