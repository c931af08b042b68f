// AG News (X. Zhang et al., "Character-level Convolutional Networks for Text Classification", arXiv
// 1509.01626): to which of four categories does a news article belong? CSV rows of class (1 to 4), title,
// text.
#pragma once

#include <optional>

#include "evaluate/tasks/task.h"

namespace edgellm {

class AgNewsTask : public Task {
 public:
  enum class Mode {
    kLikelihood,  // the label the model holds likeliest; figures "accuracy" and "accuracy_per_byte"
    kGeneration,  // the label the model's answer names; figures "accuracy" and "answered"
  };
  explicit AgNewsTask(Mode mode) : mode_(mode) {}

  std::string_view name() const override {
    return mode_ == Mode::kLikelihood ? "ag_news" : "ag_news_generation";
  }
  Result<TaskItems> read(const std::filesystem::path& path, size_t n_most) const override;
  Result<ItemScore> score(const TaskItem& item, const TaskAnswer& answer) const override;
  nlohmann::json settings() const override;

 private:
  Mode mode_;
};

// The label (World, Sports, Business, Sci/Tech) that `answer` names: the first one after the last "category",
// "answer" or "label" followed by ":" or "is", otherwise the first one at all. Case does not matter; "Sport",
// "Science", "Technology", "Tech" and the like count too.
std::optional<std::string> ag_news_label(std::string_view answer);

}  // namespace edgellm
