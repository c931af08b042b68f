// What a model says to the items of a task: answers drawn many at a time, or the likelihoods of given ones.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "core/base/progress.h"
#include "core/text/tokenizer.h"
#include "evaluate/tasks/task.h"
#include "recipes/item_log.h"
#include "recipes/prompt_format.h"
#include "runtime/decode/sampler.h"
#include "runtime/graph/decoder.h"

namespace edgellm {

struct AnsweringOptions {
  std::string system;  // message put before each item's; empty: none
  // Greedy. With another temperature an item's answer depends on seed and item, not on the order of work.
  SamplerOptions sampler = {.temperature = 0.0f};
  size_t n_at_once = 16;
  size_t max_tokens = 0;  // of an answer; 0: the task's own
  size_t n_context = 0;   // 0: as much as the longest item needs, within what the model was trained for
  size_t n_threads = 0;
  KvType kv_type = KvType::f16;
};
nlohmann::json settings_json(const AnsweringOptions& options);

class AnsweringModel {
 public:
  static Result<AnsweringModel> load(std::shared_ptr<const GgufFile> file, const AnsweringOptions& options);

  // Every item that `log` has no answer to is asked, and the answer put into the log: "prompt", "reference",
  // and "answer", "tokens" and "stop", or "choices" and "log_likelihoods". The same answers whatever was in
  // the log before and however many are drawn at once. Error for a prompt that does not fit the context,
  // "interrupted".
  Status answer(std::span<const TaskItem> items, std::string_view stage, ItemLog& log,
                const Progress& progress);

 private:
  AnsweringModel(std::shared_ptr<const GgufFile> file, AnsweringOptions options,
                 std::unique_ptr<Tokenizer> tokenizer, PromptFormat format, std::unique_ptr<Decoder> decoder)
      : file_(std::move(file)),
        options_(std::move(options)),
        tokenizer_(std::move(tokenizer)),
        format_(std::move(format)),
        decoder_(std::move(decoder)) {}
  Result<std::vector<Token>> prompt_of(const TaskItem& item) const;
  Status generate(std::span<const TaskItem* const> items, std::string_view stage, ItemLog& log,
                  const Progress& progress);
  Status compare_choices(std::span<const TaskItem* const> items, std::string_view stage, ItemLog& log,
                         const Progress& progress);

  std::shared_ptr<const GgufFile> file_;
  AnsweringOptions options_;
  std::unique_ptr<Tokenizer> tokenizer_;
  PromptFormat format_;
  std::unique_ptr<Decoder> decoder_;
};

// The answer in an item's line of the log.
TaskAnswer answer_in(const nlohmann::json& line);

}  // namespace edgellm
